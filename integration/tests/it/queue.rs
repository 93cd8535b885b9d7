//! Messages through SQS, from the producer's trace to the consumer's.

use aws_sdk_sqs::{
    Client,
    types::{Message, MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue},
};
use tower_xray::{
    FutureExt, Segment,
    message::{self, SQS_ATTRIBUTE},
};

use crate::{aws::moto::moto, support::recorder};

const NAME: MessageSystemAttributeName = MessageSystemAttributeName::AwsTraceHeader;

async fn queue(name: &str) -> Option<(Client, String)> {
    let client = Client::new(&moto()?);
    let queue = client.create_queue().queue_name(name).send().await.unwrap();
    Some((client, queue.queue_url.unwrap()))
}

async fn send(client: &Client, queue: &str, field: Option<String>) {
    let field = field
        .map(|field| MessageSystemAttributeValue::builder().data_type("String").string_value(field).build().unwrap());
    let send = client.send_message().queue_url(queue).message_body("an order");
    let attributes = field.map(|field| [(MessageSystemAttributeNameForSends::AwsTraceHeader, field)].into());
    send.set_message_system_attributes(attributes).send().await.unwrap();
}

async fn receive(client: &Client, queue: &str) -> Vec<Message> {
    let receive = client.receive_message().queue_url(queue).max_number_of_messages(10);
    receive.message_system_attribute_names(NAME).send().await.unwrap().messages.unwrap_or_default()
}

fn field(message: &Message) -> Option<&String> {
    message.attributes()?.get(&NAME)
}

#[tokio::test]
async fn a_consumer_continues_the_trace_of_a_message() {
    assert_eq!(NAME.as_str(), SQS_ATTRIBUTE);
    let Some((client, queue)) = queue("one-message").await else { return };
    let (recorder, documents) = recorder();
    let producer = recorder.begin_segment("shop");
    async { send(&client, &queue, message::current_field()).await }.in_entity(&producer).await;
    let producer_id = producer.id();
    producer.close();
    let producer = documents.take_one();

    let [message] = &receive(&client, &queue).await[..] else { panic!("one message") };
    let header = field(message).unwrap().parse().unwrap();
    recorder.begin_segment_from("order-worker", Some(&header)).close();
    let consumer = documents.take_one();
    assert_eq!((consumer.trace_id(), consumer.parent_id()), (producer.trace_id(), producer_id));
}

#[tokio::test]
async fn a_batch_is_linked_to_its_producers_and_survives_a_damaged_attribute() {
    let Some((client, queue)) = queue("batch").await else { return };
    let (recorder, documents) = recorder();
    let producers: Vec<Segment> = (0..3).map(|_| recorder.begin_segment("shop")).collect();
    for producer in &producers {
        let field = producer.header().map(|header| header.to_field());
        send(&client, &queue, field).await;
    }
    send(&client, &queue, None).await;
    send(&client, &queue, Some("Root=1-damaged;Parent=nobody;Sampled=1".to_owned())).await;

    let messages = receive(&client, &queue).await;
    assert_eq!(messages.len(), 5);
    let sampled = messages.iter().filter_map(field).filter(|field| message::is_sampled(field)).count();
    assert_eq!(sampled, 3);
    let headers = messages.iter().filter_map(|message| field(message)?.parse().ok());
    recorder.begin_batch("order-worker", headers).close();
    let batch = documents.take_one();
    let mut linked: Vec<_> = batch.root().links().collect();
    let mut expected: Vec<_> = producers.iter().filter_map(|one| Some((one.trace_id()?, one.id()?))).collect();
    linked.sort_unstable();
    expected.sort_unstable();
    assert_eq!(linked, expected);
}
