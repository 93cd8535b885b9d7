//! A traced producer and a traced consumer, on nothing but what tower-xray makes public.
//!
//! In: records, on both sides. Out: a call for each record that is sent, which its header names; a segment for each record
//! or batch that is received, which continues the trace of its producer or is linked to those of all of them.

use std::error::Error;

use tokio::sync::mpsc::Receiver;
use tower_xray::{
    FutureExt, Recorder, Segment, TraceHeader,
    call::{Call, Class, Failure},
    header::X_AMZN_TRACE_ID,
};

use super::broker::{Broker, Record, Refused};

#[derive(Clone)]
pub(crate) struct Producer(Broker);

impl Producer {
    pub(crate) fn new(broker: &Broker) -> Self {
        Self(broker.clone())
    }

    pub(crate) async fn send(&self, topic: &str, mut record: Record) -> Result<(), Refused> {
        let call = Call::builder(topic).annotations(&[("operation", "produce".into())]).begin();
        if let Some(header) = call.header() {
            record.add_header(X_AMZN_TRACE_ID.as_str(), header.to_field());
        }
        call.run_with(self.0.produce(topic, record), end).await
    }
}

fn end(call: Call, result: &Result<(), Refused>) {
    let Err(error) = result else { return call.end() };
    call.fail_with(|| {
        Failure::of(error).class(match error {
            Refused::Closed => Class::Fault,
            Refused::Full => Class::Throttle,
            Refused::UnknownTopic => Class::Error,
        })
    });
}

/// The header of a record. A damaged one is as good as none.
fn header(record: &Record) -> Option<TraceHeader> {
    record.header(X_AMZN_TRACE_ID.as_str())?.try_into().ok()
}

pub(crate) struct Consumer {
    records: Receiver<Record>,
    recorder: Recorder,
    name: &'static str,
}

impl Consumer {
    pub(crate) fn new(records: Receiver<Record>, recorder: &Recorder, name: &'static str) -> Self {
        Self { records, recorder: recorder.clone(), name }
    }

    /// Handles one record after the other, until there will be no more. Waiting for them is part of no trace.
    pub(crate) async fn run<E: Error + 'static>(mut self, mut handle: impl AsyncFnMut(Record) -> Result<(), E>) {
        while let Some(record) = self.records.recv().await {
            let segment = self.recorder.begin_segment_from(self.name, header(&record).as_ref());
            let result = handle(record).in_entity(&segment).await;
            if let Err(error) = &result {
                segment.add_fault(error);
            }
            segment.close();
        }
    }

    /// Waits for a record, and takes what else is there: at most so many. The segment is the work of all of them.
    pub(crate) async fn next_batch(&mut self, limit: usize) -> Option<(Segment, Vec<Record>)> {
        let mut records = Vec::new();
        if self.records.recv_many(&mut records, limit).await == 0 {
            return None;
        }
        let segment = self.recorder.begin_batch(self.name, records.iter().filter_map(header));
        segment.add_annotation("records", records.len());
        Some((segment, records))
    }
}
