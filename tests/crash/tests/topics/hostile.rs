//! A member that writes anything anywhere in what it may write: its own segments, and everybody's bell.

use crate::work::Work;
use crossing_shm::{Segment, registry};
use std::time::Duration;

impl Work<'_> {
    /// Scribbles, and publishes and receives meanwhile, until it is killed.
    pub fn scribble(&mut self) {
        let topic = self.topic(true);
        let publisher = topic.publisher().expect("a publisher");
        let mut subscriber = topic.subscriber().expect("a subscriber");
        let prefix = format!("topic/{}/", self.role.argument("topic"));
        self.role.say("working");
        loop {
            let found = registry::list_under(&prefix).unwrap_or_default();
            let mine = |entry: &registry::Entry| {
                entry.creator_pid == std::process::id() || entry.name.contains("/bell-")
            };
            let segments: Vec<Segment> = found
                .iter()
                .filter(|entry| !entry.stale && mine(entry))
                .filter_map(|entry| Segment::options().schema(entry.schema).open(&entry.name).ok())
                .collect();
            for _ in 0..400 {
                for segment in &segments {
                    self.write(segment);
                }
                if self.random().is_multiple_of(4) {
                    let len = self.random() as usize % 2_000;
                    let _ = publisher.try_send(&vec![3; len]);
                }
                if self.random().is_multiple_of(4) {
                    let _ = subscriber.try_recv();
                }
                if self.random().is_multiple_of(16) {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
        }
    }

    fn write(&mut self, segment: &Segment) {
        let words = segment.len() as u64 / 8;
        // Headers, cursors, hazards and slots more often than bytes of messages.
        let few = if self.random().is_multiple_of(4) { words } else { words.min(600) };
        let at = self.random() % few.max(1);
        let value = match self.random() % 5 {
            0 => 0,
            1 => u64::MAX,
            2 => self.random() % 64,
            // A hazard, or a length and a chunk.
            3 => ((self.random() % 8) << 32) | (self.random() % 64),
            _ => self.random(),
        };
        segment.write_bytes(at as usize * 8, &value.to_le_bytes()).expect("inside");
    }
}
