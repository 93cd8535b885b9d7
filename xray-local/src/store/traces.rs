//! In: accepted documents and problems, one at a time. Out: traces in order of first arrival, within fixed bounds.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::stats::LocalStats;
use crate::check::problem::{Problem, Severity};
use crate::measure;
use crate::model::entity::is_in_progress;
use crate::model::trace::Trace;

/// What may be kept; the oldest leaves first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) traces: usize,
    pub(crate) bytes: usize,
    pub(crate) problems: usize,
}

#[derive(Debug)]
pub(crate) struct Store {
    limits: Limits,
    /// By number of arrival, so that the first one is the oldest.
    traces: BTreeMap<u64, Held>,
    arrivals: HashMap<String, u64>,
    next_arrival: u64,
    bytes: usize,
    problems: VecDeque<Problem>,
    stats: LocalStats,
}

#[derive(Debug)]
struct Held {
    id: String,
    documents: Vec<Value>,
    /// Where the document of an entity is, for the complete one to replace the one in progress.
    places: HashMap<String, usize>,
    bytes: usize,
    last: Instant,
}

impl Store {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            traces: BTreeMap::new(),
            arrivals: HashMap::new(),
            next_arrival: 0,
            bytes: 0,
            problems: VecDeque::new(),
            stats: LocalStats::default(),
        }
    }

    pub(crate) fn stats(&self) -> LocalStats {
        self.stats
    }

    /// Counts a datagram that carried a refused document, or none.
    pub(crate) fn refuse(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.stats.datagrams += 1;
        self.stats.invalid += 1;
        self.note(problems);
    }

    /// Counts a datagram and keeps its document, which has passed the checks.
    pub(crate) fn accept(&mut self, document: Value, warnings: Vec<Problem>, now: Instant) {
        self.stats.datagrams += 1;
        self.stats.documents += 1;
        self.note(warnings);
        self.insert(document, now);
        self.evict();
    }

    pub(crate) fn traces(&self) -> Vec<Trace> {
        let trace = |held: &Held| Trace::new(held.id.clone(), held.documents.clone());
        self.traces.values().map(trace).collect()
    }

    /// Removes the traces that got nothing new for `quiet`.
    pub(crate) fn take_settled(&mut self, quiet: Duration, now: Instant) -> Vec<Trace> {
        let settled = |held: &Held| now.saturating_duration_since(held.last) >= quiet;
        let arrivals: Vec<u64> =
            self.traces.iter().filter(|(_, held)| settled(held)).map(|(arrival, _)| *arrival).collect();
        arrivals
            .into_iter()
            .filter_map(|arrival| self.remove(arrival))
            .map(|held| Trace::new(held.id, held.documents))
            .collect()
    }

    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.problems.iter().cloned().collect()
    }

    pub(crate) fn take_problems(&mut self) -> Vec<Problem> {
        self.problems.drain(..).collect()
    }

    /// Keeps problems, without a datagram that they belong to.
    pub(crate) fn note(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            if problem.severity() == Severity::Warning {
                self.stats.warnings += 1;
            }
            if self.problems.len() == self.limits.problems {
                self.problems.pop_front();
            }
            self.problems.push_back(problem);
        }
    }

    fn insert(&mut self, document: Value, now: Instant) {
        let Some(id) = document.get("trace_id").and_then(Value::as_str).map(str::to_ascii_lowercase) else {
            return;
        };
        let arrival = *self.arrivals.entry(id).or_insert_with_key(|id| {
            let arrival = self.next_arrival;
            self.next_arrival += 1;
            let held = Held { id: id.clone(), documents: Vec::new(), places: HashMap::new(), bytes: 0, last: now };
            self.traces.insert(arrival, held);
            arrival
        });
        let Some(held) = self.traces.get_mut(&arrival) else {
            return;
        };
        let before = held.bytes;
        held.push(document, now);
        self.bytes = self.bytes - before + held.bytes;
    }

    fn evict(&mut self) {
        while self.traces.len() > self.limits.traces || self.bytes > self.limits.bytes {
            let Some(arrival) = self.traces.keys().next().copied() else {
                return;
            };
            self.remove(arrival);
            self.stats.evicted_traces += 1;
        }
    }

    fn remove(&mut self, arrival: u64) -> Option<Held> {
        let held = self.traces.remove(&arrival)?;
        self.arrivals.remove(&held.id);
        self.bytes -= held.bytes;
        Some(held)
    }
}

impl Held {
    fn push(&mut self, document: Value, now: Instant) {
        self.last = now;
        let id = document.get("id").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let Some(place) = self.places.get(&id) else {
            self.bytes += measure::weight(&document) + id.len() + size_of::<(String, usize)>();
            self.places.insert(id, self.documents.len());
            self.documents.push(document);
            return;
        };
        let known = &mut self.documents[*place];
        // Datagrams overtake each other: one in progress never replaces a complete one.
        if is_in_progress(known) || !is_in_progress(&document) {
            self.bytes = self.bytes - measure::weight(known) + measure::weight(&document);
            *known = document;
        }
    }
}
