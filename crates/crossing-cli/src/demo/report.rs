//! The live report: one line per event, as it happens, with measured times.

use super::event::{Event, Message, Process, What};
use crate::units::show_nanos;
use crossing::process::kill_name;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, Write};

/// Where the report goes, and what it still holds back.
pub struct Report {
    to_stderr: bool,
    start_ns: u64,
    sent: HashSet<Message>,
    /// What each process said from a receipt on whose send was not reported yet.
    early: HashMap<Process, VecDeque<Event>>,
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

    /// An event. A receipt, and what its process says after it, is held back until the send was reported: the two come
    /// through different pipes.
    pub fn event(&mut self, event: &Event) {
        self.early.entry(event.process).or_default().push_back(event.clone());
        while let Some(event) = self.next_in_order() {
            match &event.what {
                What::Sent(message) => drop(self.sent.insert(*message)),
                What::Killed { .. } => self.killed_at = event.at_ns,
                _ => {}
            }
            self.show(&event);
        }
    }

    fn next_in_order(&mut self) -> Option<Event> {
        let sent = &self.sent;
        let shown = |event: &Event| match &event.what {
            What::Received { message, .. } => sent.contains(message),
            _ => true,
        };
        let queue = self.early.values_mut().find(|queue| queue.front().is_some_and(shown))?;
        queue.pop_front()
    }

    fn show(&self, event: &Event) {
        let after_kill = show_nanos(event.at_ns.saturating_sub(self.killed_at));
        let text = match &event.what {
            What::Ready => "ready".to_owned(),
            What::Listening { through, endpoint } => format!("listens, {through}: {endpoint}"),
            What::Connected { through, peer, .. } => format!("is connected, {through}: {peer}"),
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
            What::Killed { victim } => format!("kills pid {victim} with {}", kill_name()),
            What::Dead { after_ns } => format!("sees it dead, {} after the kill", show_nanos(*after_ns)),
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
