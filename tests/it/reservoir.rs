//! Reservoirs: how many requests of a second are granted, whoever asks and whatever the clock does.

use std::time::Duration;

use proptest::prelude::*;
use tower_xray::sampling::Reservoir;

#[test]
fn a_reservoir_grants_its_size_in_every_second() {
    let tries = |size| {
        let reservoir = Reservoir::new(size);
        let tenths = (0..15).map(|n| Duration::from_secs(1_755_443_396) + n * Duration::from_millis(100));
        tenths.filter(|now| reservoir.take(now.as_secs())).count()
    };
    assert_eq!([tries(0), tries(1), tries(10), tries(u32::MAX)], [0, 2, 15, 15]);

    let reservoir = Reservoir::new(5);
    let taken = [7, 7, 7, 7, 7, 7, 8].map(|second| reservoir.take(second));
    assert_eq!(taken, [true, true, true, true, true, false, true]);
}

#[test]
fn a_reservoir_is_full_in_the_first_second_of_all() {
    let reservoir = Reservoir::new(1);
    assert_eq!([0, 0, u64::from(u32::MAX), u64::MAX].map(|second| reservoir.take(second)), [true, false, true, false]);
}

#[test]
fn a_request_that_has_read_the_clock_just_before_the_second_ended_refills_no_reservoir() {
    let reservoir = Reservoir::new(2);
    let taken = [7, 8, 7, 8, 7, 8].map(|second| reservoir.take(second));
    assert_eq!(taken, [true, true, true, false, false, false]);
}

#[test]
fn a_reservoir_goes_on_after_the_clock_was_set_back() {
    let reservoir = Reservoir::new(1);
    assert_eq!([9000, 9000, 1000, 1000, 1001].map(|second| reservoir.take(second)), [true, false, true, false, true]);
}

#[test]
fn a_reservoir_grants_its_size_to_many_threads_together() {
    let reservoir = Reservoir::new(100);
    let taken: usize = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(|| (0..1000).filter(|_| reservoir.take(7)).count()));
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 100);
}

proptest! {
    #[test]
    fn no_second_grants_more_than_the_size_whoever_comes_late(
        size in 0..5_u32,
        steps in prop::collection::vec((0..3_u64, any::<bool>()), 0..60),
    ) {
        let reservoir = Reservoir::new(size);
        let (mut second, mut left) = (1_000, size);
        for (step, late) in steps {
            if step > 0 {
                (second, left) = (second + step, size);
            }
            // Whoever is late comes after one who was not.
            for second in [second, second - u64::from(late)] {
                prop_assert_eq!(reservoir.take(second), left > 0);
                left = left.saturating_sub(1);
            }
        }
    }
}
