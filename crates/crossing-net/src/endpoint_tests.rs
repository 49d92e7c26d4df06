use super::*;

#[test]
fn every_scheme_is_read_and_written_alike() {
    for text in [
        "tcp:127.0.0.1:8080",
        "tcp:[::1]:0",
        "tls:example.org:443",
        "unix:/run/app.sock",
        "unix:relative.sock",
        "unix:@app",
        "pipe:app",
        "shm:md/ticks",
        "mq:/test_queue",
        "sysv:shmfile,65",
        "sysv:0x4101abcd",
        "sysv:0xffffffff",
        "posix:/seg",
        "log:./jobs",
    ] {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!(endpoint.to_string(), text);
        assert_eq!(endpoint.scheme(), text.split(':').next().unwrap());
        let local = if cfg!(windows) { "pipe" } else { "unix" };
        assert_eq!(
            endpoint.is_socket(),
            text.starts_with("tcp")
                || text.starts_with(local)
                || (cfg!(feature = "tls") && text.starts_with("tls"))
        );
    }
    assert_eq!("sysv:0xffffffff".parse::<Endpoint>().unwrap(), Endpoint::Sysv(SysvAddress::Key(-1)));
    assert_eq!("mq:q".parse::<Endpoint>().unwrap(), Endpoint::MessageQueue("/q".into()));
}

#[test]
fn what_is_wrong_is_said_with_what_to_write() {
    for (text, detail) in [
        ("", "no scheme"),
        ("prices", "no scheme"),
        ("tcp:", "nothing follows"),
        ("http://x", "no mechanism"),
        ("tcp:localhost", "port is missing"),
        ("tcp:localhost:http", "not a number"),
        ("tcp:localhost:+80", "not a number"),
        ("tcp:localhost:65536", "not a number"),
        ("tcp::80", "host is missing"),
        ("tcp:::1:80", "brackets"),
        ("unix:@", "follows the @"),
        ("mq:/a/b", "without slashes"),
        ("sysv:x", "key is no number"),
        ("sysv:f,x", "project is no number"),
        ("sysv:f,256", "zero"),
        ("sysv:,65", "path is missing"),
    ] {
        let error = text.parse::<Endpoint>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ApiMisuse, "{text}");
        assert!(error.to_string().contains(detail), "{text}: {error}");
    }
}

#[test]
fn a_local_endpoint_is_a_socket_of_this_system_and_different_names_differ() {
    let one = Endpoint::local("net-test-one").expect("a name");
    assert!(one.is_socket(), "{one}");
    assert_eq!(one, Endpoint::local("net-test-one").expect("a name"), "the same for every caller");
    assert_ne!(one, Endpoint::local("net-test-two").expect("a name"));
    assert_eq!(one.to_string().parse::<Endpoint>().expect("its text"), one);
    for bad in ["", "a/b", "../x", r"a\b", "a b", "ä", &"x".repeat(65)] {
        assert_eq!(Endpoint::local(bad).map_err(|e| e.kind()), Err(ErrorKind::ApiMisuse), "{bad}");
    }
}
