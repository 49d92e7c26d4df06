//! The live report: one line per event, as it happens, with measured times.

use super::event::{Event, Message, Process, What};
use crate::units::show_nanos;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

/// Where the report goes, and what it still holds back.
pub struct Report {
    to_stderr: bool,
    start_ns: u64,
    sent: HashSet<Message>,
    early: HashMap<Message, Event>,
    killed_at: u64,
}

impl Report {
    /// Times count from `start_ns`.
    pub fn new(to_stderr: bool, start_ns: u64) -> Self {
        Self { to_stderr, start_ns, sent: HashSet::new(), early: HashMap::new(), killed_at: start_ns }
    }

    /// A line without a time.
    pub fn line(&self, text: &str) {
        // A report that nobody reads any more must not stop the demo.
        let _ =
            if self.to_stderr { writeln!(io::stderr(), "{text}") } else { writeln!(io::stdout(), "{text}") };
    }

    /// A heading.
    pub fn heading(&self, text: &str) {
        self.line("");
        self.line(text);
    }

    /// A process was started.
    pub fn started(&self, process: Process, pid: u32) {
        self.line(&format!("             {process:<9} started, pid {pid}"));
    }

    /// An event; a receipt is held back until its send was reported, as the two come through different pipes.
    pub fn event(&mut self, event: &Event) {
        match &event.what {
            What::Sent(message) => {
                self.show(event);
                self.sent.insert(*message);
                if let Some(receipt) = self.early.remove(message) {
                    self.show(&receipt);
                }
            }
            What::Received { message, .. } if !self.sent.contains(message) => {
                self.early.insert(*message, event.clone());
            }
            What::Killed { .. } => {
                self.killed_at = event.at_ns;
                self.show(event);
            }
            _ => self.show(event),
        }
    }

    fn show(&self, event: &Event) {
        let after_kill = show_nanos(event.at_ns.saturating_sub(self.killed_at));
        let text = match &event.what {
            What::Ready => "ready".to_owned(),
            What::Sent(message) => format!("--> {:<12}  {message}", message.through.to_string()),
            What::Received { message, latency_ns } => {
                let took = show_nanos(*latency_ns);
                format!(
                    "<-- {:<12}  {message}, intact, {took} after it was sent",
                    message.through.to_string()
                )
            }
            What::Failed { text } => format!("FAILED: {text}"),
            What::ExchangeDone => return,
            What::Holding { free } => {
                format!("holds the mutex and a loan ({free} chunks of the pool left free)")
            }
            What::Waiting => "waits for the mutex".to_owned(),
            What::Killed { victim } => format!("sends SIGKILL to pid {victim}"),
            What::Dead { after_ns } => format!("sees it dead, {} after the signal", show_nanos(*after_ns)),
            What::Recovered => format!("has the mutex: Recovered, {after_kill} after the kill"),
            What::Reclaimed { before, after } => {
                format!("reclaims the dead process's loan: {before} free chunks become {after}")
            }
            What::Closed => "closed everything".to_owned(),
        };
        let at = show_nanos(event.at_ns.saturating_sub(self.start_ns));
        self.line(&format!("  {at:>9}  {:<9} {text}", event.process.to_string()));
    }
}
