//! Topics within the process, in the manner of Kafka: records have headers, whose values are bytes.
//!
//! In: records of producers. Out: the same, in their order, to one consumer for each topic.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    sync::{Arc, Mutex},
};

use tokio::sync::mpsc::{self, Receiver, Sender, error::TrySendError};

#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    headers: Vec<(String, Vec<u8>)>,
    pub(crate) value: String,
}

impl Record {
    pub(crate) fn new(value: &str) -> Self {
        Self { headers: Vec::new(), value: value.to_owned() }
    }

    /// The last header of this name: a record that is sent on may have more of them.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_slice())
    }

    pub(crate) fn add_header(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.headers.push((name.to_owned(), value.into()));
    }
}

/// Why a record is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// The consumer has left.
    Closed,
    /// The consumer is too slow.
    Full,
    UnknownTopic,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the topic is closed",
            Self::Full => "the topic is full",
            Self::UnknownTopic => "there is no such topic",
        })
    }
}

impl Error for Refused {}

#[derive(Clone, Default)]
pub(crate) struct Broker(Arc<Mutex<HashMap<String, Sender<Record>>>>);

impl Broker {
    /// Creates a topic with room for so many records.
    pub(crate) fn consume(&self, topic: &str, capacity: usize) -> Receiver<Record> {
        let (sender, receiver) = mpsc::channel(capacity);
        self.0.lock().unwrap().insert(topic.to_owned(), sender);
        receiver
    }

    /// Lets the consumer of a topic come to its end.
    pub(crate) fn close(&self, topic: &str) {
        self.0.lock().unwrap().remove(topic);
    }

    pub(crate) async fn produce(&self, topic: &str, record: Record) -> Result<(), Refused> {
        // A broker is elsewhere, and takes its time.
        tokio::task::yield_now().await;
        let topics = self.0.lock().unwrap();
        let sender = topics.get(topic).ok_or(Refused::UnknownTopic)?;
        sender.try_send(record).map_err(|error| match error {
            TrySendError::Closed(_) => Refused::Closed,
            TrySendError::Full(_) => Refused::Full,
        })
    }
}
