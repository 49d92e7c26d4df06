//! TCP between `crossing send`/`recv` in raw form and C++ programs that read once and send once.

use crossing_interop_tests::{Place, bytes, listening};
use crossing_testkit::{PATIENCE, unique_port};

#[test]
fn a_cpp_client_is_served() {
    let place = Place::new();
    let port = unique_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let args = ["recv", &endpoint, "--listen", "--raw", "--reply", "Hello from server", "--count", "1"];
    let server = place.crossing(&args).spawn();
    listening(port);
    let client = place.cpp("tcp_client", &[&port.to_string()]).run().success();
    assert_eq!(client.text(), "17: Hello from server\n");
    assert_eq!(bytes(&server.wait(PATIENCE).success()), b"Hello from client");
}

#[test]
fn a_cpp_server_is_asked() {
    let place = Place::new();
    let port = unique_port();
    let server = place.cpp("tcp_server", &[&port.to_string()]).spawn();
    listening(port);
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let client =
        place.crossing(&["send", &endpoint, "--raw", "--await-reply", "Hello from client"]).run().success();
    assert_eq!(bytes(&client), b"Hello from server");
    assert_eq!(server.wait(PATIENCE).success().text(), "17: Hello from client\n");
}

#[test]
fn several_cpp_clients_in_turn() {
    let place = Place::new();
    let port = unique_port();
    let endpoint = format!("tcp:127.0.0.1:{port}");
    let server =
        place.crossing(&["recv", &endpoint, "--listen", "--raw", "--reply", "yes", "--count", "3"]).spawn();
    listening(port);
    for _ in 0..3 {
        assert_eq!(place.cpp("tcp_client", &[&port.to_string()]).run().success().text(), "3: yes\n");
    }
    assert_eq!(server.wait(PATIENCE).success().text().trim_end(), ["Hello from client"; 3].join("\n"));
}

#[test]
fn nobody_listens() {
    let place = Place::new();
    let endpoint = format!("tcp:127.0.0.1:{}", unique_port());
    place.refuses(&["send", &endpoint, "--raw", "--await-reply", "Hello"], &["connection refused", "start"]);
}

#[test]
fn the_address_is_in_use() {
    let place = Place::new();
    let port = unique_port();
    let server = place.cpp("tcp_server", &[&port.to_string()]).spawn();
    listening(port);
    let endpoint = format!("tcp:127.0.0.1:{port}");
    place.refuses(
        &["recv", &endpoint, "--listen", "--raw", "--count", "1"],
        &["address in use", &port.to_string()],
    );
    drop(server);
}
