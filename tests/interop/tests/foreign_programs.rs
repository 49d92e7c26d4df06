//! The C++ programs among themselves: a failure here is a failure of the test's own programs, not of Crossing.

use crossing_interop_tests::{AtEnd, Place, listening};
use crossing_testkit::{PATIENCE, unique_name, unique_port};

#[test]
fn shared_memory() {
    let place = Place::new();
    let _end = AtEnd::run(place.cpp("shm_reader", &["remove"]));
    place.cpp("shm_writer", &["a text"]).run().success();
    assert_eq!(place.cpp("shm_reader", &[]).run().success().text(), "Data read from memory: a text\n");
    let name = format!("/{}", unique_name("crossing-interop"));
    let _end = AtEnd::run(place.cpp("posix_shm", &["remove", &name]));
    place.cpp("posix_shm", &["write", &name, "b text"]).run().success();
    assert_eq!(place.cpp("posix_shm", &["read", &name]).run().success().text(), "b text\n");
}

#[test]
fn message_queue() {
    let place = Place::new();
    let name = format!("/{}", unique_name("crossing-interop"));
    let _end = AtEnd::run(place.cpp("mq_receiver", &[&name, "unlink"]));
    place.cpp("mq_sender", &[&name, "a message", "3"]).run().success();
    assert_eq!(place.cpp("mq_receiver", &[&name]).run().success().text(), "3 9\na message");
}

#[test]
fn socket() {
    let place = Place::new();
    let port = unique_port();
    let server = place.cpp("tcp_server", &[&port.to_string()]).spawn();
    listening(port);
    let client = place.cpp("tcp_client", &[&port.to_string()]).run().success();
    assert_eq!(client.text(), "17: Hello from server\n");
    assert_eq!(server.wait(PATIENCE).success().text(), "17: Hello from client\n");
}

#[test]
fn semaphores() {
    let place = Place::new();
    let name = format!("/{}", unique_name("crossing-interop"));
    let _ends = [
        AtEnd::run(place.cpp("semaphore", &["remove", &name])),
        AtEnd::run(place.cpp("sysv_semaphore", &["remove"])),
    ];
    place.cpp("semaphore", &["create", &name, "1"]).run().success();
    assert_eq!(place.cpp("semaphore", &["post", &name]).run().success().text(), "2\n");
    place.cpp("sysv_semaphore", &["create", "1"]).run().success();
    assert_eq!(place.cpp("sysv_semaphore", &["post"]).run().success().text(), "2\n");
}
