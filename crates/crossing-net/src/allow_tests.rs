use super::*;
use crate::{Listener, Stream};
use crossing_testkit::{PATIENCE, watchdog};
use std::sync::Mutex;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(30);

fn endpoint() -> Endpoint {
    Endpoint::local(&crossing_testkit::unique_name("allow")).unwrap()
}

/// Whether a listener with these rules lets this process in.
fn lets_in(rules: &[Allow]) -> bool {
    let _watchdog = watchdog(PATIENCE);
    let mut options = Listener::options();
    for rule in rules {
        options.allow(rule.clone());
    }
    let listener = options.bind(&endpoint()).unwrap();
    let mut client = Stream::connect(listener.endpoint()).unwrap();
    let accepted = listener.accept_timeout(if rules.is_empty() { PATIENCE } else { SHORT });
    match accepted {
        Ok((mut server, _)) => {
            assert_eq!(listener.refused_connections(), 0);
            server.send(b"welcome").unwrap();
            assert_eq!(client.recv_timeout(PATIENCE).unwrap(), b"welcome");
            true
        }
        Err(error) => {
            assert_eq!((error.kind(), listener.refused_connections()), (ErrorKind::TimedOut, 1), "{error}");
            // It is closed, not left waiting.
            assert_eq!(client.recv_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Disconnected);
            false
        }
    }
}

#[test]
fn rules_let_in_whom_one_of_them_names() {
    let never = || Allow::when(|_| false);
    assert!(lets_in(&[]));
    assert!(lets_in(&[Allow::same_user()]));
    assert!(!lets_in(&[never()]));
    assert!(lets_in(&[never(), Allow::same_user()]));
    assert!(lets_in(&[Allow::when(|who| who.process_id() == Some(std::process::id()))]));
}

#[cfg(unix)]
#[test]
fn users_and_groups_are_told_by_number() {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    assert!(lets_in(&[Allow::user(user)]));
    assert!(!lets_in(&[Allow::user(user + 1)]));
    assert!(lets_in(&[Allow::user(user + 1), Allow::group(group)]));
    let mut mine: Vec<u32> = rustix::process::getgroups().unwrap().iter().map(|id| id.as_raw()).collect();
    mine.push(group);
    let foreign = (0..).find(|id| !mine.contains(id)).unwrap();
    assert!(!lets_in(&[Allow::group(foreign)]));
}

#[test]
fn groups_beside_the_own_one_count() {
    let rule = Allow::group(77);
    let listener = Listener::bind(&endpoint()).unwrap();
    let _client = Stream::connect(listener.endpoint()).unwrap();
    let (_, peer) = listener.accept_timeout(PATIENCE).unwrap();
    let Peer::Local(who) = peer else { panic!("{peer}") };
    assert!(rule.lets_in(&who, || vec![1, 77]));
    assert!(!rule.lets_in(&who, || vec![1]) || who.ids().is_some_and(|(_, group)| group == 77));
}

#[test]
fn refused_ones_do_not_disturb_others() {
    let _watchdog = watchdog(2 * PATIENCE);
    let turn = Mutex::new(0_u32);
    // Every third one may come in.
    let rule = Allow::when(move |_| {
        let mut turn = turn.lock().unwrap();
        *turn += 1;
        turn.is_multiple_of(3)
    });
    let listener = Listener::options().allow(rule).max_connections(2).bind(&endpoint()).unwrap();
    let mut admitted = Vec::new();
    for round in 1..=2 {
        let connect = || Stream::options().connect_timeout(PATIENCE).connect(listener.endpoint()).unwrap();
        let (mut server, mut clients) = std::thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept_timeout(PATIENCE).unwrap().0);
            let clients = [(); 3].map(|()| connect());
            (accepting.join().unwrap(), clients)
        });
        server.send(b"welcome").unwrap();
        for refused in &mut clients[..2] {
            assert_eq!(refused.recv_timeout(PATIENCE).unwrap_err().kind(), ErrorKind::Disconnected);
        }
        assert_eq!(clients[2].recv_timeout(PATIENCE).unwrap(), b"welcome");
        assert_eq!(listener.refused_connections(), 2 * round);
        // Those that were refused hold no place.
        admitted.push((server, clients));
        assert_eq!(listener.is_full(), admitted.len() == 2);
    }
}

#[test]
fn there_are_none_over_the_network() {
    let error = Listener::options().allow(Allow::same_user()).bind("tcp:127.0.0.1:0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("unix:PATH"), "{error}");
}
