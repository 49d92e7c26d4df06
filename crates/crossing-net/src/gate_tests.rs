use super::*;

fn from(ip: &str) -> Peer {
    Peer::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
}

#[test]
fn connections_of_one_peer_count_together() {
    let gate = Gate::new(None, Some(2)).unwrap();
    let enter = |ip: &str| {
        let mut ticket = gate.enter(Wait::Never).unwrap();
        ticket.admit(&from(ip)).then_some(ticket)
    };
    let first = enter("192.0.2.1").unwrap();
    // The same machine, as a listener of both IPs sees it.
    let _second = enter("::ffff:192.0.2.1").unwrap();
    assert!(enter("192.0.2.1").is_none());
    assert!(enter("::ffff:192.0.2.1").is_none());
    let _other = enter("192.0.2.2").unwrap();
    drop(first);
    let _third = enter("192.0.2.1").unwrap();
    assert!(enter("192.0.2.1").is_none());

    let _network = [enter("2001:db8:1:1::1").unwrap(), enter("2001:db8:1:1:ffff::2").unwrap()];
    assert!(enter("2001:db8:1:1::3").is_none());
    let _neighbour = enter("2001:db8:1:2::1").unwrap();
    assert_eq!(gate.refused(), 4);
}

#[test]
fn nothing_is_remembered_of_peers_that_left() {
    let gate = Gate::new(Some(3), Some(1)).unwrap();
    for third in 0..=255 {
        let mut ticket = gate.enter(Wait::Never).unwrap();
        assert!(ticket.admit(&from(&format!("192.0.2.{third}"))));
    }
    assert!(gate.lock().of.is_empty());
    assert_eq!(gate.lock().open, 0);
    let full = [(); 3].map(|()| gate.enter(Wait::Never).unwrap());
    assert!(gate.is_full() && gate.enter(Wait::Never).is_err());
    drop(full);
    assert!(!gate.is_full());
    assert!(Gate::new(None, None).is_none());
}
