use super::*;
use crate::demo::event::Kind;

fn message(seq: u32, checksum: u64) -> Message {
    Message { through: Through::Socket, kind: Kind::Ping, seq, bytes: 48, checksum }
}

fn event(at_ns: u64, process: Process, what: What) -> Event {
    Event { at_ns, process, pid: 1, what }
}

#[test]
fn a_message_that_never_arrived_fails_its_check() {
    let mut events = vec![
        event(1, Process::Process1, What::Sent(message(1, 5))),
        event(2, Process::Process2, What::Received { message: message(1, 5), latency_ns: 1 }),
        event(3, Process::Process1, What::Sent(message(2, 6))),
    ];
    let lost = messages(&events, &[(Through::Socket, 2)]);
    assert!(!lost[0].ok);
    assert_eq!(lost[0].seen, "1 of 2");
    // Another checksum at the receiver is not the message that was sent.
    events.push(event(4, Process::Process2, What::Received { message: message(2, 7), latency_ns: 1 }));
    assert!(!messages(&events, &[(Through::Socket, 2)])[0].ok);
    events.push(event(5, Process::Process2, What::Received { message: message(2, 6), latency_ns: 1 }));
    assert!(messages(&events, &[(Through::Socket, 2)])[0].ok);
    assert!(!messages(&events, &[(Through::Socket, 3)])[0].ok, "fewer were sent than should have been");
}

#[test]
fn recovery_must_happen_once_and_return_every_chunk() {
    let kill = event(10, Process::Demo, What::Killed { victim: 3 });
    let told = event(20, Process::Process2, What::Recovered);
    let back = |after| event(30, Process::Process2, What::Reclaimed { before: 3, after });
    let ok = |events: &[Event]| recovery(events, 4).iter().map(|check| check.ok).collect::<Vec<_>>();
    assert_eq!(ok(&[kill.clone(), told.clone(), back(4)]), [true, true]);
    assert_eq!(ok(&[kill.clone(), told.clone(), told.clone(), back(3)]), [false, false]);
    assert_eq!(ok(&[kill]), [false, false]);
}
