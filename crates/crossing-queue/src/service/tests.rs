use super::*;
use crossing_testkit::{Child, role, unique_name, watchdog};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

const LONG: Duration = Duration::from_secs(60);
const MOMENT: Duration = Duration::from_millis(50);

fn name() -> String {
    unique_name("service")
}

/// Serves until told to stop, by `answer`.
fn serving<Q: Payload + ?Sized + 'static, R: Payload + ?Sized + 'static>(
    server: Server<Q, R>,
    answer: impl Fn(Request<Q, R>) + Send + 'static,
) -> (Arc<AtomicBool>, std::thread::JoinHandle<()>) {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::SeqCst) {
            if let Ok(request) = server.recv_timeout(MOMENT) {
                answer(request);
            }
        }
    });
    (stop, thread)
}

fn end((stop, thread): (Arc<AtomicBool>, std::thread::JoinHandle<()>)) {
    stop.store(true, Ordering::SeqCst);
    thread.join().expect("the server");
}

fn reverse(request: Request) {
    let mut answer = request.payload().to_vec();
    answer.reverse();
    request.reply(&answer).expect("answered");
}

#[test]
fn bytes_of_every_length_there_and_back() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let server = serving(Service::<[u8], [u8]>::options().serve(&name).unwrap(), reverse);
    let client = Service::<[u8], [u8]>::options().connect(&name).unwrap();
    assert_eq!(client.servers(), 1);
    for round in 0..300_usize {
        let mut request: Vec<u8> = (0..round * 27 % 8193).map(|at| (at ^ round) as u8).collect();
        let reply = client.call_timeout(&request, LONG).unwrap();
        request.reverse();
        assert_eq!(*reply, *request);
    }
    let error = client.call(&[0; 8193]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge { len: 8193, max: 8192 }, "{error}");
    end(server);
}

#[test]
fn a_word_is_written_only_to_cancel_and_speaks_of_earlier_calls_too() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let mut options = Service::<u64, u64>::options();
    let server = options.serve(&name).unwrap();
    // One word for all calls.
    let client = options.max_in_flight(1).connect(&name).unwrap();
    let word = || {
        let mut word = [0; 8];
        client.shared.table.read_bytes(0, &mut word).unwrap();
        u64::from_le_bytes(word)
    };
    // Calls 1 to 3 are answered.
    for number in 1..=3 {
        let call = client.begin(&number, None).unwrap();
        let request = server.recv_timeout(LONG).unwrap();
        assert!(!request.is_cancelled());
        request.reply(&(number * 2)).unwrap();
        assert_eq!((*call.wait_timeout(LONG).unwrap(), word()), (number * 2, 0));
    }
    // Call 4 is cancelled while the server has it, 5 before.
    let call = client.begin(&4, None).unwrap();
    let fourth = server.recv_timeout(LONG).unwrap();
    drop(call);
    assert_eq!((fourth.is_cancelled(), word()), (true, 4));
    drop(client.begin(&5, None).unwrap());
    assert_eq!(word(), 5);
    // The sixth is served, while the fourth stays cancelled and its answer is not taken for another.
    let call = client.begin(&6, None).unwrap();
    let sixth = server.recv_timeout(LONG).unwrap();
    assert_eq!((*sixth.payload(), sixth.is_cancelled(), fourth.is_cancelled()), (6, false, true));
    fourth.reply(&44).unwrap();
    sixth.reply(&66).unwrap();
    assert_eq!((*call.wait_timeout(LONG).unwrap(), word()), (66, 5));
    // One whose time is over is cancelled.
    assert_eq!(client.call_timeout(&7, MOMENT).unwrap_err().call(), Some(&CallError::DeadlinePassed));
    assert_eq!(word(), 7);
}

#[test]
fn values_and_what_is_none() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let mut options = Service::<[u64; 3], u128>::options();
    let server = options.schema(5).serve(&name).unwrap();
    let server = serving(server, |request| {
        let sum = request.payload().iter().map(|part| u128::from(*part)).sum();
        request.reply(&sum).expect("answered");
    });
    let client = options.connect(&name).unwrap();
    for round in 0..100 {
        assert_eq!(
            *client.call(&[round, u64::MAX, 1]).unwrap(),
            u128::from(u64::MAX) + u128::from(round) + 1
        );
    }
    let other = Service::<[u32; 3], u128>::options().schema(5).connect(&name).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Incompatible, "{other}");
    for part in ["size 24", "size 12", "schema 0x5", &format!("process {}", std::process::id())] {
        assert!(other.to_string().contains(part), "{part}: {other}");
    }
    let schema = Service::<[u64; 3], u128>::options().connect(&name).unwrap_err();
    assert_eq!(schema.kind(), ErrorKind::Incompatible, "{schema}");
    end(server);
}

#[test]
fn nothing_is_copied_on_the_way() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let mut options = Service::<[u8], [u8]>::options();
    options.max_request_len(1 << 20).max_reply_len(1 << 20).capacity(2).max_in_flight(2);
    let server = serving(options.serve(&name).unwrap(), |request: Request| {
        let len = request.payload().len();
        let Some(mut loan) = request.loan_slice(len).expect("lent") else { return };
        let byte = loan.request().payload()[0];
        loan.fill(byte + 1);
        loan.send().expect("sent");
    });
    let client = options.connect(&name).unwrap();
    for byte in 0..20_u8 {
        let mut loan = client.loan_slice(1 << 20, None).unwrap();
        loan.fill(byte);
        let reply = loan.send().unwrap().wait_timeout(LONG).unwrap();
        assert_eq!((reply.len(), reply[0], reply[(1 << 20) - 1]), (1 << 20, byte + 1, byte + 1));
    }
    drop(client.loan_slice(1, None).unwrap());
    end(server);
}

#[test]
fn many_threads_and_servers_each_its_own_answer() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let counts: [Arc<AtomicU64>; 2] = Default::default();
    let servers = counts.clone().map(|count| {
        let server = Service::<u64, u64>::options().serve(&name).unwrap();
        serving(server, move |request| {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = request.payload() * 3;
            request.reply(&answer).expect("answered");
        })
    });
    let client = Service::<u64, u64>::options().max_in_flight(5).connect(&name).unwrap();
    assert_eq!(client.servers(), 2);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let client = client.clone();
            scope.spawn(move || {
                for round in 0..200 {
                    let number = thread << 32 | round;
                    assert_eq!(*client.call_timeout(&number, LONG).unwrap(), number * 3);
                }
            });
        }
    });
    assert_eq!(counts.each_ref().map(|count| count.load(Ordering::SeqCst)), [800, 800], "by turns");
    servers.into_iter().for_each(end);
}

#[test]
fn cancelled_and_late_requests_are_passed_over() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let mut options = Service::<u64, u64>::options();
    let server = options.max_in_flight(3).serve(&name).unwrap();
    let client = options.connect(&name).unwrap();
    drop(client.begin(&1, None).unwrap());
    let late = client.call_timeout(&2, Duration::from_millis(5)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::TimedOut, "{late}");
    let call = client.begin(&3, None).unwrap();
    let request = server.recv_timeout(LONG).unwrap();
    assert_eq!((*request.payload(), request.time_left(), request.is_cancelled()), (3, None, false));
    drop(call);
    assert!(request.is_cancelled());
    request.reply(&9).unwrap();
    assert!(server.try_recv().unwrap().is_none());
    // All places are free again.
    let calls: Vec<_> = (4..7).map(|number| client.begin(&number, None).unwrap()).collect();
    let full = client.begin(&7, Instant::now() + MOMENT).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::TimedOut, "{full}");
    for (call, number) in calls.into_iter().zip(4..7) {
        let request = server.recv_timeout(LONG).unwrap();
        assert_eq!(*request.payload(), number);
        request.reply(&number).unwrap();
        assert_eq!(*call.wait_timeout(LONG).unwrap(), number);
    }
    let timed = client.begin(&8, Instant::now() + LONG).unwrap();
    assert!(server.recv_timeout(LONG).unwrap().time_left().unwrap() <= LONG);
    drop(timed);
}

#[test]
fn failures_say_what_happened() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let none = Service::<[u8], [u8]>::options().connect(&name).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::NotFound, "{none}");
    assert!(none.to_string().contains("crossing serve"), "{none}");
    let server = Service::<[u8], [u8]>::options().max_in_flight(1).serve(&name).unwrap();
    let client = Service::<[u8], [u8]>::options().max_reply_len(1000).connect(&name).unwrap();
    let outcome = |answer: &dyn Fn(Request)| {
        let call = client.begin(b"ask", None).unwrap();
        answer(server.recv_timeout(LONG).unwrap());
        call.wait_timeout(LONG).unwrap_err().to_string()
    };
    assert!(outcome(&|request| request.fail("no coffee").unwrap()).contains("no coffee"));
    assert!(outcome(&|request| request.fail(&"\u{e9}".repeat(600)).unwrap()).contains("\u{e9}\u{e9}"));
    assert!(outcome(&drop).contains("let go"));
    assert!(outcome(&|request| drop(request.loan_slice(10).unwrap())).contains("let go"));
    let long = outcome(&|request| {
        let error = request.reply(&[0; 1001]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge { len: 1001, max: 1000 }, "{error}");
    });
    assert!(long.contains("max_reply_len"), "{long}");
    let first = client.begin(b"1", None).unwrap();
    let request = server.recv_timeout(LONG).unwrap();
    let second = client.begin(b"2", None).unwrap();
    assert!(server.try_recv().unwrap().is_none(), "one too many");
    assert_eq!(second.wait_timeout(LONG).unwrap_err().kind(), ErrorKind::LimitReached);
    request.reply(b"one").unwrap();
    assert_eq!(*first.wait_timeout(LONG).unwrap(), *b"one");
}

#[test]
fn a_server_that_leaves_is_not_waited_for() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let server = Service::<u64, u64>::options().serve(&name).unwrap();
    let client = Service::<u64, u64>::options().connect(&name).unwrap();
    let calls: Vec<_> = (0..3).map(|number| client.begin(&number, None).unwrap()).collect();
    drop(server);
    for call in calls {
        let error = call.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
    }
    let nobody = client.call(&1).unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Disconnected, "{nobody}");
    let server = serving(Service::<u64, u64>::options().serve(&name).unwrap(), |request| {
        let answer = *request.payload();
        request.reply(&answer).expect("answered");
    });
    assert_eq!(*client.call(&1).unwrap(), 1);
    end(server);
    drop(client);
    assert_eq!(registry::names_under(&format!("service/{name}/")).unwrap(), Vec::<String>::new());
}

/// A server or a client in a process of its own.
#[test]
#[ignore = "a role of the test below"]
fn service_role() {
    let Some(role) = role("service_role") else { return };
    let name = role.argument("name");
    if role.argument("kind") == "client" {
        let client = Service::<u64, u64>::options().connect(&name).unwrap();
        let _call = client.begin(&77, None).unwrap();
        role.say("asked");
        role.pause();
    }
    let server = Service::<u64, u64>::options().serve(&name).unwrap();
    role.say("serving");
    loop {
        let request = server.recv().unwrap();
        if *request.payload() == 99 {
            role.say("hold");
            role.pause();
        }
        let answer = request.payload() + 1;
        let _ = request.reply(&answer);
    }
}

fn child(kind: &str, name: &str) -> Child {
    Child::role("service::tests::service_role").argument("kind", kind).argument("name", name).spawn()
}

#[test]
fn the_killed_are_told_of_and_leave_nothing() {
    let _watchdog = watchdog(LONG);
    let name = name();
    let mut first = child("server", &name);
    first.expect("serving");
    let client = Service::<u64, u64>::options().connect(&name).unwrap();
    assert_eq!(*client.call(&1).unwrap(), 2);
    let calls: Vec<_> = [99, 5, 6].iter().map(|number| client.begin(number, None).unwrap()).collect();
    first.expect("hold");
    first.kill();
    for call in calls {
        let error = call.wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error}");
        assert!(error.to_string().contains("died"), "{error}");
    }
    let mut second = child("server", &name);
    second.expect("serving");
    assert_eq!(*client.call(&1).unwrap(), 2, "the other one serves on");
    second.kill();

    // A client that is killed is no harm to a server.
    let server = Service::<u64, u64>::options().serve(&name).unwrap();
    let mut killed = child("client", &name);
    killed.expect("asked");
    let request = server.recv_timeout(LONG).unwrap();
    assert_eq!(*request.payload(), 77);
    killed.kill();
    while !request.is_cancelled() {
        std::thread::sleep(Duration::from_millis(1));
    }
    request.reply(&1).expect("dropped");
    let other = Service::<u64, u64>::options().connect(&name).unwrap();
    let call = other.begin(&8, None).unwrap();
    server.recv_timeout(LONG).unwrap().reply(&9).unwrap();
    assert_eq!(*call.wait_timeout(LONG).unwrap(), 9);
    drop((client, server, other));
    registry::remove_stale().unwrap();
    assert_eq!(registry::names_under(&format!("service/{name}/")).unwrap(), Vec::<String>::new());
}
