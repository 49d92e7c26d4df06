use super::*;
use crate::demo::event::{Kind, Message};

fn event(at_ns: u64, process: Process, what: What) -> Event {
    Event { at_ns, process, pid: 7, what }
}

fn message(through: Through, kind: Kind) -> Message {
    Message { through, kind, seq: 1, bytes: 64, checksum: 9 }
}

fn story() -> Vec<Event> {
    let ping = message(Through::SharedMemory, Kind::Ping);
    let pong = message(Through::MessageQueue, Kind::Pong);
    vec![
        event(2_500, Process::Process2, What::Received { message: ping, latency_ns: 1_500 }),
        event(1_000, Process::Process1, What::Sent(ping)),
        event(3_000, Process::Process2, What::Sent(pong)),
        event(4_000, Process::Process1, What::Received { message: pong, latency_ns: 1_000 }),
        event(5_000, Process::Demo, What::Killed { victim: 42 }),
        event(9_000, Process::Process2, What::Recovered),
        event(9_500, Process::Process2, What::Closed),
    ]
}

#[test]
fn steps_follow_the_clock_and_skip_what_is_no_message() {
    let steps = steps(&story(), 1_000);
    let ends: Vec<(u64, usize, usize)> = steps
        .iter()
        .filter_map(|s| match s {
            Step::Arrow { at, from, to, .. } => Some((*at, *from, *to)),
            Step::Note { .. } => None,
        })
        .collect();
    assert_eq!(ends, [(0, 0, 1), (1_500, 1, 5), (2_000, 5, 4), (3_000, 4, 0)]);
    assert_eq!(steps.len(), 6);
    assert!(matches!(&steps[5], Step::Note { text, .. } if text.contains("4.00 us after the kill")));
}

#[test]
fn terminal_form_draws_every_arrow_between_its_columns() {
    let text = draw(&steps(&story(), 0), 120);
    let row =
        |needle: &str| text.lines().find(|line| line.contains(needle)).unwrap_or_else(|| panic!("{text}"));
    assert!(row("ping 1 64 B").contains('▶'));
    assert!(row("mq pong 1 64 B").contains('◀'));
    let header = text.lines().nth(1).unwrap_or_default();
    for name in PARTICIPANTS {
        assert!(header.contains(name), "{text}");
    }
    let sent = row("ping 1 64 B");
    let tail: Vec<usize> =
        sent.chars().enumerate().filter(|(_, c)| "├│".contains(*c)).map(|(i, _)| i).collect();
    let lifelines = text.lines().nth(3).unwrap_or_default();
    let expected: Vec<usize> =
        lifelines.chars().enumerate().filter(|(_, c)| *c == '│').map(|(i, _)| i).collect();
    assert_eq!(tail, expected, "lifelines stay in their columns:\n{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [80, 100, 120, 200] {
        let text = draw(&steps(&story(), 0), width);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= width, "{widest} > {width}\n{text}");
    }
}

#[test]
fn narrow_terminals_and_long_labels_do_not_panic() {
    let long = "x".repeat(500);
    let steps = [
        Step::Arrow { at: 0, from: 0, to: 1, label: long.clone(), detail: "d".into() },
        Step::Arrow { at: 0, from: 5, to: 0, label: long.clone(), detail: "d".into() },
        Step::Note { at: u64::MAX, first: 5, last: 5, text: long },
        Step::Note { at: 0, first: 0, last: 5, text: String::new() },
    ];
    for width in [0, 1, 79, 80, 81, 1000] {
        assert!(!draw(&steps, width).is_empty());
    }
}

#[test]
fn mermaid_form_is_the_same_story() {
    let text = mermaid(&steps(&story(), 0));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(lines[0], "sequenceDiagram");
    assert_eq!(lines[1], "participant Process1");
    assert_eq!(lines[7], "Process1->>SharedMemory: ping 1 64 B");
    assert_eq!(lines[8], "SharedMemory->>Process2: ping 1 +1.50 us");
    assert!(lines[11].starts_with("Note over SharedMemory,Process2: Process3 (pid 42)"));
    let odd = [Step::Note { at: 0, first: 0, last: 1, text: "a;b#c\nd".into() }];
    assert!(mermaid(&odd).ends_with("a b c d\n"));
}
