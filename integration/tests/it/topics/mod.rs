//! Producers and consumers of a queue that tower-xray does not know, traced on its public API.

mod broker;
mod client;

use std::fmt;

use tokio::sync::Notify;
use tower_xray::{FutureExt, Recorder, capture, current, sampling::SampleNone};

use self::{
    broker::{Broker, Record, Refused},
    client::{Consumer, Producer},
};
use crate::{
    support::{Documents, recorder, recorder_with},
    tree::tree,
};

#[derive(Debug)]
struct OutOfStock;

impl fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is none left")
    }
}

impl std::error::Error for OutOfStock {}

/// Sends records as one request of a service does.
async fn send(recorder: &Recorder, broker: &Broker, service: &str, values: &[&str]) {
    let (segment, producer) = (recorder.begin_segment(service), Producer::new(broker));
    for value in values {
        producer.send("orders", Record::new(value)).in_entity(&segment).await.unwrap();
    }
    segment.close();
}

/// The traces of all services, without the paths of types.
fn traces(documents: &Documents) -> String {
    tree(&documents.take()).replace(std::any::type_name::<OutOfStock>(), "OutOfStock")
}

#[tokio::test]
async fn every_record_is_work_of_its_own_in_the_trace_of_its_producer() {
    let (recorder, documents) = recorder();
    let broker = Broker::default();
    let orders = Consumer::new(broker.consume("orders", 10), &recorder, "order-worker");
    let mails = Consumer::new(broker.consume("mails", 10), &recorder, "mailer");
    send(&recorder, &broker, "shop", &["book", "unicorn"]).await;
    send(&recorder, &broker, "kiosk", &["pen"]).await;

    broker.close("orders");
    let producer = Producer::new(&broker);
    let handle = async |record: Record| {
        current().add_annotation("item", &*record.value);
        if record.value == "unicorn" {
            return Err(OutOfStock);
        }
        // It is sent on as it is, with the header that it has already.
        producer.send("mails", record).await.unwrap();
        Ok(())
    };
    orders.run(handle).await;
    broker.close("mails");
    mails.run(async |_| Ok::<_, OutOfStock>(())).await;
    let expected = "\
shop
  orders operation=produce
    order-worker item=book
      mails operation=produce
        mailer
  orders operation=produce
    order-worker item=unicorn fault | OutOfStock: there is none left
kiosk
  orders operation=produce
    order-worker item=pen
      mails operation=produce
        mailer
";
    assert_eq!(traces(&documents), expected);
}

#[tokio::test]
async fn a_record_of_a_trace_that_is_not_sampled_is_handled_and_not_recorded() {
    let (recorder, documents) = recorder();
    let (unsampled, _) = recorder_with(|builder| builder.sampling(SampleNone));
    let broker = Broker::default();
    let consumer = Consumer::new(broker.consume("orders", 10), &recorder, "order-worker");
    send(&unsampled, &broker, "shop", &["book"]).await;
    // Without a header, and with one that is damaged: these begin traces.
    let mut damaged = Record::new("pen");
    damaged.add_header("x-amzn-trace-id", b"Root=\xff");
    for record in [Record::new("pencil"), damaged] {
        broker.produce("orders", record).await.unwrap();
    }
    broker.close("orders");
    let mut handled = Vec::new();
    let handle = async |record: Record| {
        handled.push((record.value, current().is_recorded(), current().trace_id().is_some()));
        Ok::<_, OutOfStock>(())
    };
    consumer.run(handle).await;
    let expected = [("book", false, true), ("pencil", true, true), ("pen", true, true)];
    assert_eq!(handled, expected.map(|(value, recorded, traced)| (value.to_owned(), recorded, traced)));
    assert_eq!(traces(&documents), "order-worker\norder-worker\n");
}

#[tokio::test]
async fn a_batch_is_linked_to_the_producers_whose_traces_are_recorded() {
    let (recorder, documents) = recorder();
    let (unsampled, _) = recorder_with(|builder| builder.sampling(SampleNone));
    let broker = Broker::default();
    let mut consumer = Consumer::new(broker.consume("orders", 10), &recorder, "order-worker");
    send(&recorder, &broker, "shop", &["book", "unicorn"]).await;
    send(&unsampled, &broker, "unseen", &["chair"]).await;
    send(&recorder, &broker, "kiosk", &["pen"]).await;
    broker.produce("orders", Record::new("pencil")).await.unwrap();

    let (batch, records) = consumer.next_batch(10).await.unwrap();
    let work = async {
        for record in records {
            let handle = async { if record.value == "unicorn" { Err(OutOfStock) } else { Ok(()) } };
            // A record that cannot be handled does not keep the others from it.
            let _ = capture(record.value.clone(), handle).await;
        }
    };
    work.in_entity(&batch).await;
    batch.close();
    let expected = "\
shop
  orders operation=produce
  orders operation=produce
kiosk
  orders operation=produce
order-worker records=5 → orders → orders → orders
  book
  unicorn fault | OutOfStock: there is none left
  chair
  pen
  pencil
";
    assert_eq!(traces(&documents), expected);

    // One record is not a batch of several traces: it continues its own.
    send(&recorder, &broker, "kiosk", &["ruler"]).await;
    consumer.next_batch(10).await.unwrap().0.close();
    assert_eq!(traces(&documents), "kiosk\n  orders operation=produce\n    order-worker records=1\n");

    // No trace of these is recorded.
    send(&unsampled, &broker, "unseen", &["table", "lamp"]).await;
    let (batch, records) = consumer.next_batch(10).await.unwrap();
    assert_eq!((records.len(), batch.is_recorded()), (2, false));
    batch.close();
    assert_eq!(traces(&documents), "");
}

#[tokio::test]
async fn a_record_that_is_refused_counts_as_the_broker_says() {
    let (recorder, documents) = recorder();
    let broker = Broker::default();
    let producer = Producer::new(&broker);
    drop(broker.consume("closed", 1));
    let _receiver = broker.consume("full", 1);
    let segment = recorder.begin_segment("shop");
    let work = async {
        producer.send("full", Record::new("book")).await.unwrap();
        for (topic, why) in [("full", Refused::Full), ("closed", Refused::Closed), ("lost", Refused::UnknownTopic)] {
            assert_eq!(producer.send(topic, Record::new("book")).await, Err(why));
        }
    };
    work.in_entity(&segment).await;
    segment.close();
    let expected = "\
shop
  full operation=produce
  full operation=produce error throttle | remote Refused: the topic is full
  closed operation=produce fault | remote Refused: the topic is closed
  lost operation=produce error | remote Refused: there is no such topic
";
    assert_eq!(traces(&documents).replace(std::any::type_name::<Refused>(), "Refused"), expected);
}

#[tokio::test]
async fn a_record_that_is_not_waited_for_is_cancelled() {
    let (recorder, documents) = recorder();
    let broker = Broker::default();
    let _receiver = broker.consume("orders", 1);
    let segment = recorder.begin_segment("shop");
    let producer = Producer::new(&broker);
    let work = async {
        tokio::select! {
            biased;
            _ = producer.send("orders", Record::new("book")) => unreachable!("the broker takes its time"),
            () = std::future::ready(()) => {}
        }
    };
    work.in_entity(&segment).await;
    segment.close();
    assert_eq!(traces(&documents), "shop\n  orders operation=produce cancelled=true\n");
}

#[tokio::test]
async fn a_consumer_that_panics_or_is_stopped_leaves_no_segment_open() {
    let (recorder, documents) = recorder();
    let broker = Broker::default();
    let consumer = Consumer::new(broker.consume("orders", 10), &recorder, "order-worker");
    send(&recorder, &broker, "shop", &["book"]).await;
    let handle = async |record: Record| -> Result<(), OutOfStock> { panic!("no {} today", record.value) };
    assert!(tokio::spawn(async move { consumer.run(handle).await }).await.unwrap_err().is_panic());
    let expected = "\
shop
  orders operation=produce
    order-worker fault | panic: the thread panicked
";
    assert_eq!(traces(&documents), expected);

    let consumer = Consumer::new(broker.consume("orders", 10), &recorder, "order-worker");
    send(&recorder, &broker, "shop", &["book"]).await;
    let begun = Notify::new();
    let handle = async |_| {
        begun.notify_one();
        std::future::pending::<Result<(), OutOfStock>>().await
    };
    tokio::select! {
        () = consumer.run(handle) => unreachable!("the record takes for ever"),
        () = begun.notified() => {}
    }
    assert_eq!(traces(&documents), "shop\n  orders operation=produce\n    order-worker\n");
}
