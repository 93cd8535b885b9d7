//! Messages of a channel, from the trace of their publisher to the work of their receivers.

use tower_xray::{FutureExt, sampling::SampleNone};

use super::{client, connection, patient};
use crate::{
    support::{recorder, recorder_with},
    tree::tree,
};

#[tokio::test]
async fn every_message_is_work_of_its_own_in_the_trace_of_its_publisher() {
    let Some((client, mut connection)) = connection().await else { return };
    let (recorder, documents) = recorder();
    let mut orders = client.subscribe("orders", &recorder, "order-worker").await.unwrap();
    let mut mails = client.subscribe("orders", &recorder, "mailer").await.unwrap();

    let segment = recorder.begin_segment("shop");
    let publish = async {
        connection.publish("orders", "first").await?;
        connection.publish("orders", "second").await
    };
    assert_eq!(publish.in_entity(&segment).await.unwrap(), 2);
    segment.close();

    for expected in ["first", "second"] {
        for subscription in [&mut orders, &mut mails] {
            let (segment, text) = subscription.next().await.unwrap();
            assert_eq!(text, expected);
            segment.add_annotation("text", text);
            segment.close();
        }
    }
    let traces = tree(&documents.take()).replace(client.name(), "redis");
    assert_eq!(
        traces,
        "shop\n\
        \x20 redis operation=PUBLISH\n\
        \x20   order-worker text=first\n\
        \x20   mailer text=first\n\
        \x20 redis operation=PUBLISH\n\
        \x20   order-worker text=second\n\
        \x20   mailer text=second\n"
    );
}

#[tokio::test]
async fn a_message_of_a_trace_that_is_not_sampled_says_so_to_its_receivers() {
    let Some((client, mut connection)) = connection().await else { return };
    let (recorder, documents) = recorder();
    let mut subscription = client.subscribe("unsampled", &recorder, "order-worker").await.unwrap();
    let (unsampled, _) = recorder_with(|builder| builder.sampling(SampleNone));
    let publisher = unsampled.begin_segment("shop");
    assert_eq!(connection.publish("unsampled", "an order").in_entity(&publisher).await.unwrap(), 1);

    let (segment, text) = subscription.next().await.unwrap();
    assert_eq!((text.as_str(), segment.is_recorded()), ("an order", false));
    assert_eq!(segment.trace_id(), publisher.trace_id());
    segment.close();
    publisher.close();
    assert_eq!(documents.len(), 0);
}

#[tokio::test]
async fn a_message_without_a_trace_begins_one() {
    let Some((client, mut connection)) = connection().await else { return };
    let (recorder, documents) = recorder();
    let mut subscription = client.subscribe("plain", &recorder, "order-worker").await.unwrap();
    // Outside of any trace.
    assert_eq!(connection.publish("plain", "by this client").await.unwrap(), 1);
    // By a client that is not traced.
    let mut other = redis::Client::open(super::url().unwrap()).unwrap();
    redis::cmd("PUBLISH").arg("plain").arg("by another").exec(&mut other).unwrap();
    for expected in ["by this client", "by another"] {
        let (segment, text) = subscription.next().await.unwrap();
        assert_eq!(text, expected);
        segment.close();
        assert_eq!(documents.take_one().parent_id(), None);
    }
}

#[tokio::test]
async fn a_subscription_that_is_made_within_a_trace_is_a_call() {
    let Some(client) = client() else { return };
    let (recorder, documents) = recorder();
    let segment = recorder.begin_segment("shop");
    let subscription = client.subscribe("quiet", &recorder, "order-worker").in_entity(&segment).await;
    assert!(subscription.is_ok());
    let mut connection = client.connect(&patient()).in_entity(&segment).await.unwrap();
    assert_eq!(connection.publish("nobody listens", "an order").in_entity(&segment).await.unwrap(), 0);
    segment.close();
    let expected = "shop\n  redis operation=SUBSCRIBE\n  redis operation=connect\n  redis operation=PUBLISH\n";
    assert_eq!(tree(&documents.take()).replace(client.name(), "redis"), expected);
}
