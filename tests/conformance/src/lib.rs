//! What every queue and every service does, whatever carries it. The suites are [`queue`] and [`service`] with
//! [`service_parts`] and [`service_several`]; `tests/queues.rs`
//! and `tests/services.rs` run them against each endpoint, a test for each behaviour and endpoint, so that
//! `cargo test -p crossing-conformance-tests` is the list of what holds where.
//!
//! A behaviour that an endpoint lacks, by its [`Capabilities`](crossing_queue::Capabilities), is not skipped: asking for it
//! must be an error that says so. An endpoint that this operating system has not at all is passed over, with a note.

#![forbid(unsafe_code)]

pub mod queue;
pub mod service;
pub mod service_parts;
pub mod service_several;
