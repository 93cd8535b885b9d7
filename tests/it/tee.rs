//! Several emitters behind one, written with public API only.

use std::{
    collections::BTreeSet,
    net::UdpSocket,
    time::{Duration, Instant},
};

use tower_xray::{
    document::SegmentDocument,
    emitter::{Emitter, Flush, InMemoryEmitter, UdpEmitter},
};

use crate::{
    outline::outline,
    support::{assert_valid, recorder_with},
};

/// Hands every document to two emitters.
struct Tee<A, B>(A, B);

impl<A: Emitter, B: Emitter> Emitter for Tee<A, B> {
    fn emit(&self, document: SegmentDocument) {
        self.0.emit(document.clone());
        self.1.emit(document);
    }

    fn flush(&self, deadline: Instant) -> Flush {
        self.1.flush(deadline)
    }
}

/// Receives the documents of datagrams as a daemon does.
fn receive(socket: &UdpSocket) -> String {
    let mut buffer = vec![0; 65_536];
    let len = socket.recv(&mut buffer).unwrap();
    let text = std::str::from_utf8(&buffer[..len]).unwrap();
    let (header, document) = text.split_once('\n').unwrap();
    assert_eq!(header, r#"{"format":"json","version":1}"#);
    document.trim_end().to_owned()
}

#[test]
fn both_emitters_get_the_same_documents() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let memory = InMemoryEmitter::new();
    let udp = UdpEmitter::new(socket.local_addr().unwrap().to_string().parse().unwrap()).unwrap();
    let (recorder, _) = recorder_with(|builder| builder.emitter(Tee(memory.clone(), udp)));

    let segment = recorder.begin_segment("orders");
    segment.add_annotation("tier", "gold");
    segment.add_metadata("cart", ["A-1", "B-2"]);
    segment.send_in_progress();
    segment.set_fault();
    let late = segment.begin_subsegment("late");
    segment.begin_subsegment("query").close();
    segment.close();
    late.add_annotation("rows", 5);
    late.close();
    assert_eq!(recorder.flush(Duration::from_secs(20)).wait(), 0);

    let documents = memory.take();
    documents.iter().for_each(assert_valid);
    assert_eq!(outline(&documents), ["orders", "orders!(query)", "late < orders"]);
    // Datagrams leave by size.
    let kept: BTreeSet<String> = documents.iter().map(SegmentDocument::to_json).collect();
    let sent: BTreeSet<String> = documents.iter().map(|_| receive(&socket)).collect();
    assert_eq!(sent, kept);
}

#[test]
fn a_clone_outlives_its_document_and_the_thread() {
    let memory = InMemoryEmitter::new();
    let (recorder, _) = recorder_with(|builder| builder.emitter(memory.clone()));
    let clones: Vec<(SegmentDocument, String)> = std::thread::spawn(move || {
        let names = (0..20).map(|number| format!("report {number}"));
        names
            .map(|name| {
                let segment = recorder.begin_segment(&name);
                // More than spare buffers hold.
                (0..300).for_each(|row| segment.add_annotation(&format!("row_{row}"), "x".repeat(60)));
                segment.close();
                let document = memory.take().remove(0);
                (document.clone(), document.to_json())
            })
            .collect()
    })
    .join()
    .unwrap();
    for (clone, written) in clones {
        assert_eq!(clone.clone().to_json(), written);
    }
}
