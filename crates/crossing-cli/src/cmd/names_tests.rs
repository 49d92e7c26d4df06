use super::*;
use crate::exit::Exit;

#[test]
fn names_choose_their_mechanism() {
    let native = |name: &str| ObjectName::Native(name.to_owned());
    assert_eq!(ObjectName::parse("prices").unwrap(), native("prices"));
    assert_eq!(ObjectName::parse("md/ticks").unwrap(), native("md/ticks"));
    assert_eq!(ObjectName::parse("shm:prices").unwrap(), native("prices"));
    assert_eq!(ObjectName::parse("posix:/a").unwrap(), ObjectName::Posix("/a".into()));
    assert_eq!(ObjectName::parse("posix:a").unwrap(), ObjectName::Posix("/a".into()));
    assert_eq!(ObjectName::parse("sysv:shmfile,65").unwrap(), ObjectName::SystemV("shmfile,65".into()));
    assert_eq!(ObjectName::parse("mq:/q").unwrap(), ObjectName::Queue("mq:/q".into()));
    assert_eq!(ObjectName::parse("xyz:/q").unwrap_err().exit, Exit::Usage);
}

#[test]
fn endpoints_choose_their_carrier() {
    assert_eq!(Carrier::of("mq:/a").unwrap(), Carrier::Queue);
    assert_eq!(Carrier::of("tcp:127.0.0.1:8080").unwrap(), Carrier::Socket);
    assert_eq!(Carrier::of("shm:a").unwrap(), Carrier::Queue);
    assert_eq!(Carrier::of("pipe:a").unwrap(), Carrier::Socket);
    assert_eq!(Carrier::of("unix:/tmp/a").unwrap(), Carrier::Socket);
    for bad in ["", "plain", "http://x", "/tmp/sock"] {
        assert_eq!(Carrier::of(bad).unwrap_err().exit, Exit::Usage, "{bad}");
    }
}
