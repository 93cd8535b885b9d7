//! A daemon that goes away and comes back under load. What takes a network of its own is in `tests/receiver.rs`.

use std::{
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use crate::udp::{PATIENCE, accounted, flushed, sending_to};

/// Waits for a number of datagrams.
fn receive(receiver: &UdpSocket, count: usize) {
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    (0..count).for_each(|_| assert!(receiver.recv(&mut [0; 1_024]).unwrap() > 0));
}

#[test]
fn a_daemon_that_dies_in_the_middle_and_comes_back_costs_what_it_has_missed() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap();
    let recorder = sending_to(&address);
    let stop = AtomicBool::new(false);
    let mut waits = thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut waits = Vec::new();
                    while !stop.load(Relaxed) {
                        let segment = recorder.begin_segment("report");
                        let began = Instant::now();
                        segment.close();
                        waits.push(began.elapsed());
                    }
                    waits
                })
            })
            .collect();
        // Dead from when its socket goes until another one is there.
        let mut receiver = Some(receiver);
        for _ in 0..3 {
            receive(&receiver.take().unwrap(), 200);
            let refused = recorder.stats().dropped.refused;
            while recorder.stats().dropped.refused == refused {
                thread::yield_now();
            }
            receiver = Some(UdpSocket::bind(address).unwrap());
        }
        receive(&receiver.unwrap(), 200);
        stop.store(true, Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<Duration>>()
    });
    let stats = flushed(&recorder);
    let lost = stats.dropped.refused + stats.dropped.overflow;
    assert_eq!((accounted(&stats), stats.dropped.total()), (waits.len() as u64, lost), "{stats:?}");
    assert!(stats.emitted >= 800 && stats.dropped.refused >= 3, "{stats:?}");
    waits.sort();
    let (p99, max) = (waits[waits.len() * 99 / 100], waits[waits.len() - 1]);
    assert!(p99 < Duration::from_millis(5) && max < Duration::from_secs(2), "p99 {p99:?}, max {max:?}");
}
