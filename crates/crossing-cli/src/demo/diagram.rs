//! The sequence diagram, drawn from the events and nothing else: in box-drawing characters or as Mermaid text.

use super::event::{Event, Message, Process, Through, What};
use crate::units::show_nanos;
use crossing::process::kill_name;

/// The columns, left to right.
pub const PARTICIPANTS: [&str; 6] = ["Process1", "SharedMemory", "Socket", "Tcp", "MessageQueue", "Process2"];

/// The rightmost column.
const LAST: usize = PARTICIPANTS.len() - 1;

/// Room for the time at the left edge.
const TIME_WIDTH: usize = 10;

/// Room beside the outer lifelines: half of a box.
const MARGIN: usize = 6;

/// Columns are never closer: the names beside each other must fit, and a label without its detail.
const MIN_GAP: usize = 11;

/// One line of the story, between columns of [`PARTICIPANTS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An arrow from one column to another.
    Arrow {
        /// Since the start, nanoseconds.
        at: u64,
        /// Column where it begins.
        from: usize,
        /// Column where it ends.
        to: usize,
        /// What goes along it.
        label: String,
        /// More of it, left out where there is no room.
        detail: String,
    },
    /// A remark spanning columns.
    Note {
        /// Since the start, nanoseconds.
        at: u64,
        /// Leftmost column.
        first: usize,
        /// Rightmost column.
        last: usize,
        /// The remark.
        text: String,
    },
}

/// The story the events tell, in the order of their clocks; times count from `start_ns`.
pub fn steps(events: &[Event], start_ns: u64) -> Vec<Step> {
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|event| event.at_ns);
    let killed_at = sorted.iter().find(|e| matches!(e.what, What::Killed { .. })).map(|e| e.at_ns);
    sorted.into_iter().filter_map(|event| step(event, start_ns, killed_at)).collect()
}

fn step(event: &Event, start_ns: u64, killed_at: Option<u64>) -> Option<Step> {
    let at = event.at_ns.saturating_sub(start_ns);
    let note = |first, last, text: String| Some(Step::Note { at, first, last, text });
    match &event.what {
        What::Sent(message) => {
            let (from, to) = (column_of_process(event.process)?, column_of(message.through));
            Some(Step::Arrow { at, from, to, label: label(message), detail: format!("{} B", message.bytes) })
        }
        What::Received { message, latency_ns } => {
            let (from, to) = (column_of(message.through), column_of_process(event.process)?);
            let detail = format!("+{}", show_nanos(*latency_ns));
            Some(Step::Arrow { at, from, to, label: label(message), detail })
        }
        What::Failed { text } => note(0, LAST, format!("{} FAILED: {text}", event.process)),
        What::Holding { .. } => {
            note(1, LAST, format!("Process3 (pid {}) holds the mutex and a loan", event.pid))
        }
        What::Waiting => note(1, LAST, "Process2 waits for the mutex".to_owned()),
        What::Killed { victim } => {
            note(1, LAST, format!("Process3 (pid {victim}) is killed with {}", kill_name()))
        }
        What::Recovered => {
            let after = event.at_ns.saturating_sub(killed_at?);
            note(
                1,
                LAST,
                format!("Process2 gets the mutex as Recovered, {} after the kill", show_nanos(after)),
            )
        }
        What::Reclaimed { before, after } => {
            note(1, LAST, format!("Process2 reclaims the loan: {before} free chunks become {after}"))
        }
        What::Listening { .. }
        | What::Connected { .. }
        | What::Ready
        | What::ExchangeDone
        | What::Dead { .. }
        | What::Closed => None,
    }
}

fn column_of_process(process: Process) -> Option<usize> {
    match process {
        Process::Process1 => Some(0),
        Process::Process2 => Some(LAST),
        Process::Process3 | Process::Demo => None,
    }
}

fn column_of(through: Through) -> usize {
    match through {
        Through::SharedMemory => 1,
        Through::Socket => 2,
        Through::TcpFramed | Through::TcpRaw => 3,
        Through::MessageQueue | Through::SharedQueue => 4,
    }
}

/// What a message is called on its arrow; where two mechanisms share a column, with which of them it is.
fn label(message: &Message) -> String {
    let which = match message.through {
        Through::SharedMemory | Through::Socket => "",
        Through::TcpFramed => "framed ",
        Through::TcpRaw => "raw ",
        Through::MessageQueue => "mq ",
        Through::SharedQueue => "shm ",
    };
    format!("{which}{} {}", message.kind, message.seq)
}

/// Draws the steps for a terminal `width` characters wide; at least 80 are used.
pub fn draw(steps: &[Step], width: usize) -> String {
    let gap = ((width.max(80) - TIME_WIDTH - 2 * MARGIN - 1) / (PARTICIPANTS.len() - 1)).clamp(MIN_GAP, 28);
    let sheet = Sheet { gap };
    let mut lines = sheet.header();
    for step in steps {
        match step {
            Step::Arrow { at, from, to, label, detail } => {
                lines.push(sheet.arrow(*at, *from, *to, label, detail));
            }
            Step::Note { at, first, last, text } => lines.extend(sheet.note(*at, *first, *last, text)),
        }
    }
    lines.extend(sheet.footer());
    lines.into_iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The same steps as Mermaid source.
pub fn mermaid(steps: &[Step]) -> String {
    let mut text = String::from("sequenceDiagram\n");
    for name in PARTICIPANTS {
        text.push_str(&format!("    participant {name}\n"));
    }
    for step in steps {
        let line = match step {
            Step::Arrow { from, to, label, detail, .. } => {
                let (from, to) = (PARTICIPANTS[*from], PARTICIPANTS[*to]);
                format!("    {from}->>{to}: {} {}\n", plain(label), plain(detail))
            }
            Step::Note { first, last, text, .. } => {
                format!("    Note over {},{}: {}\n", PARTICIPANTS[*first], PARTICIPANTS[*last], plain(text))
            }
        };
        text.push_str(&line);
    }
    text
}

/// Replaces what Mermaid would read as its own syntax.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ';' | '#' | '\n' | '\r' | '<' | '>' | '%' => ' ',
            other => other,
        })
        .collect()
}

struct Sheet {
    gap: usize,
}

impl Sheet {
    fn column(&self, index: usize) -> usize {
        TIME_WIDTH + MARGIN + index * self.gap
    }

    fn blank(&self) -> Vec<char> {
        vec![' '; self.column(PARTICIPANTS.len() - 1) + MARGIN + 1]
    }

    fn lifelines(&self) -> Vec<char> {
        let mut cells = self.blank();
        for index in 0..PARTICIPANTS.len() {
            cells[self.column(index)] = '│';
        }
        cells
    }

    /// Rows of boxes, or bare names where boxes do not fit; `joint` is drawn where the lifeline meets the box.
    fn boxes(&self, top_joint: char, bottom_joint: char) -> Vec<String> {
        let boxed = PARTICIPANTS.iter().all(|name| name.len() + 4 < self.gap);
        let mut rows = vec![self.blank(); 3];
        for (index, name) in PARTICIPANTS.iter().enumerate() {
            let middle = self.column(index);
            let left = middle.saturating_sub(name.len() / 2);
            put(&mut rows[1], left, name);
            if boxed {
                let inner = name.len() + 2;
                put(&mut rows[0], left - 2, &format!("┌{}┐", "─".repeat(inner)));
                put(&mut rows[1], left - 2, &format!("│ {name} │"));
                put(&mut rows[2], left - 2, &format!("└{}┘", "─".repeat(inner)));
                rows[0][middle] = top_joint;
                rows[2][middle] = bottom_joint;
            }
        }
        let rows = rows.into_iter().map(|row| row.into_iter().collect::<String>());
        if boxed { rows.collect() } else { rows.skip(1).take(1).collect() }
    }

    fn header(&self) -> Vec<String> {
        let mut lines = self.boxes('─', '┬');
        lines.push(self.lifelines().into_iter().collect());
        lines
    }

    fn footer(&self) -> Vec<String> {
        let mut lines = vec![self.lifelines().into_iter().collect()];
        lines.extend(self.boxes('┴', '─'));
        lines
    }

    fn arrow(&self, at: u64, from: usize, to: usize, label: &str, detail: &str) -> String {
        let mut cells = self.lifelines();
        put(&mut cells, 0, &format!("{:>9}", show_nanos(at)));
        let (left, right) = (self.column(from.min(to)), self.column(from.max(to)));
        for cell in &mut cells[left + 1..right] {
            *cell = '─';
        }
        let room = (right - left).saturating_sub(2);
        let whole = format!("{label} {detail}");
        let label = cut(if whole.chars().count() <= room { &whole } else { label }, room);
        let head = usize::from(from > to);
        put(&mut cells, left + 1 + head + (room - label.chars().count()) / 2, &label);
        if from < to {
            cells[right - 1] = '▶';
            cells[left] = '├';
        } else {
            cells[left + 1] = '◀';
            cells[right] = '┤';
        }
        cells.into_iter().collect()
    }

    fn note(&self, at: u64, first: usize, last: usize, text: &str) -> Vec<String> {
        let left = self.column(first).saturating_sub(MARGIN);
        let right = self.column(last) + MARGIN;
        let room = (right - left).saturating_sub(3).max(10);
        let mut lines = Vec::new();
        for (row, part) in wrap(text, room).into_iter().enumerate() {
            let mut cells = self.lifelines();
            if row == 0 {
                put(&mut cells, 0, &format!("{:>9}", show_nanos(at)));
            }
            put(&mut cells, left, &format!("[ {part:<width$} ]", width = room - 1));
            lines.push(cells.into_iter().collect());
        }
        lines
    }
}

fn put(cells: &mut [char], at: usize, text: &str) {
    for (cell, c) in cells.iter_mut().skip(at).zip(text.chars()) {
        *cell = c;
    }
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}

fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = cut(word, room.saturating_sub(1));
        let last = lines.len() - 1;
        let used = lines[last].chars().count();
        if used > 0 && used + 1 + word.chars().count() > room - 1 {
            lines.push(word);
            continue;
        }
        if used > 0 {
            lines[last].push(' ');
        }
        lines[last].push_str(&word);
    }
    lines
}

#[cfg(test)]
#[path = "diagram_tests.rs"]
mod tests;
