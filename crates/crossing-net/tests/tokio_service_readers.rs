//! Who reads the connections of services for tokio: a task, a thread where the runtime does not run, and both where both wait.
#![cfg(unix)]

use crossing_net::tokio::{Client, Server, Stream};
use crossing_net::{CallError, Error, Service, ServiceOptions};
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use crossing_wire::service::Call as Message;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

fn endpoint() -> String {
    format!("unix:{}", std::env::temp_dir().join(unique_name("crossing-readers")).display())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A server on a thread of its own that answers with what came, until that is nothing.
fn echo(options: &ServiceOptions) -> (String, std::thread::JoinHandle<()>) {
    let server = Server::from_blocking(options.serve(&endpoint()).unwrap());
    let address = server.endpoint().to_string();
    let serving = std::thread::spawn(move || {
        runtime().block_on(async {
            loop {
                let request = timeout(PATIENCE, server.recv()).await.unwrap().unwrap();
                let payload = request.payload().to_vec();
                request.reply(&payload).await.unwrap();
                if payload.is_empty() {
                    return;
                }
            }
        });
    });
    (address, serving)
}

#[test]
fn tasks_of_several_runtimes_of_which_one_rests_and_threads_share_a_client() {
    let _watchdog = watchdog(4 * PATIENCE);
    let (address, serving) = echo(&Service::options());
    let (resting, running) = (runtime(), runtime());
    let client = resting.block_on(Client::connect(&address)).unwrap();
    for number in 0..20_u8 {
        assert_eq!(resting.block_on(client.call(&[1, number])).unwrap(), [1, number]);
    }
    // Begun by one runtime that does not run any more, and waiting there.
    let (waits, (asks, asked)) = (client.clone(), std::sync::mpsc::channel());
    let left = resting.spawn(async move {
        let mut call = waits.begin(b"left", None).await.unwrap();
        let mut answer = pin!(call.ready());
        let looking = std::future::poll_fn(|context| Poll::Ready(answer.as_mut().poll(context).is_pending()));
        asks.send(looking.await).unwrap();
        answer.await
    });
    resting.block_on(async {
        while asked.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
    });
    for number in 0..20_u8 {
        let blocking = client.blocking();
        assert_eq!(blocking.call_timeout(&[2, number], PATIENCE).unwrap(), [2, number]);
        assert_eq!(running.block_on(client.call(&[3, number])).unwrap(), [3, number]);
    }
    assert_eq!(resting.block_on(left).unwrap().unwrap(), b"left");
    // The runtimes end; what reads then is the thread.
    drop((resting, running));
    assert_eq!(client.blocking().call_timeout(b"", PATIENCE).unwrap(), b"");
    serving.join().unwrap();
}

#[test]
fn runtimes_one_after_the_other_use_a_client() {
    let _watchdog = watchdog(4 * PATIENCE);
    let (address, serving) = echo(&Service::options());
    let client = runtime().block_on(Client::connect(&address)).unwrap();
    for round in 0..10_u8 {
        let runtime = runtime();
        for number in 0..5 {
            assert_eq!(runtime.block_on(client.call(&[round, number])).unwrap(), [round, number]);
        }
    }
    assert_eq!(client.blocking().call_timeout(b"", PATIENCE).unwrap(), b"");
    serving.join().unwrap();
}

/// A future that waits and is not polled must not be the one that reads for the others.
#[test]
fn a_call_that_nobody_polls_holds_nobody_up() {
    let _watchdog = watchdog(4 * PATIENCE);
    let (address, serving) = echo(&Service::options());
    runtime().block_on(async {
        let client = Client::connect(&address).await.unwrap();
        for _ in 0..20 {
            let mut first = client.begin(b"first", None).await.unwrap();
            let mut waiting = pin!(first.ready());
            let looked = std::future::poll_fn(|context| {
                let _ = waiting.as_mut().poll(context);
                Poll::Ready(())
            });
            looked.await;
            assert_eq!(client.call_timeout(b"second", PATIENCE).await.unwrap(), b"second");
            assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap(), b"first");
        }
        assert_eq!(client.call_timeout(b"", PATIENCE).await.unwrap(), b"");
    });
    serving.join().unwrap();
}

#[test]
fn a_server_goes_from_tasks_to_threads_and_outlives_its_runtime() {
    let _watchdog = watchdog(4 * PATIENCE);
    for by_thread in [true, false] {
        let server = Server::bind(&endpoint()).unwrap();
        let clients = [0, 1].map(|_| Service::options().connect(server.endpoint()).unwrap());
        let first = runtime();
        let serve = async |server: &Server| {
            let request = timeout(PATIENCE, server.recv()).await.unwrap().unwrap();
            let payload = request.payload().to_vec();
            request.reply(&payload).await.unwrap();
        };
        for number in 0..10_u8 {
            let calls = clients.each_ref().map(|client| client.begin(&[number], None).unwrap());
            first.block_on(async {
                serve(&server).await;
                serve(&server).await;
            });
            assert!(calls.into_iter().all(|call| call.wait().unwrap() == [number]));
        }
        // From now on the first one does not run, or has ended.
        let first = by_thread.then_some(first);
        for number in 0..10_u8 {
            let calls = clients.each_ref().map(|client| client.begin(&[number], None).unwrap());
            for _ in 0..2 {
                if by_thread {
                    let request = server.blocking().recv_timeout(PATIENCE).unwrap();
                    let payload = request.payload().to_vec();
                    request.reply(&payload).unwrap();
                } else {
                    runtime().block_on(serve(&server));
                }
            }
            assert!(calls.into_iter().all(|call| call.wait().unwrap() == [number]));
        }
        drop(first);
        let call = clients[0].begin(b"nobody answers", None).unwrap();
        drop(server);
        assert!(matches!(
            call.wait().unwrap_err().call(),
            Some(CallError::ServerDied | CallError::Cancelled)
        ));
    }
}

/// A task that works without letting others run learns that nobody wants its work any more.
#[test]
fn a_busy_task_that_asks_hears_of_cancellation() {
    let _watchdog = watchdog(4 * PATIENCE);
    let server = Server::bind(&endpoint()).unwrap();
    let client = Service::options().connect(server.endpoint()).unwrap();
    runtime().block_on(async {
        for _ in 0..3 {
            let call = client.begin(b"x", None).unwrap();
            let request = timeout(PATIENCE, server.recv()).await.unwrap().unwrap();
            assert!(!request.is_cancelled());
            drop(call);
            while !request.is_cancelled() {
                std::hint::spin_loop();
            }
        }
        // So does one that is dead.
        let call = client.begin(b"x", None).unwrap();
        let request = timeout(PATIENCE, server.recv()).await.unwrap().unwrap();
        drop((call, client));
        while !request.is_cancelled() {
            std::thread::yield_now();
        }
    });
}

/// A client that asks more than it may and does not read what it is told is cut off, and others are served meanwhile.
#[test]
fn a_client_that_floods_and_does_not_read_is_not_read_on() {
    let _watchdog = watchdog(4 * PATIENCE);
    runtime()
        .block_on(async {
            let mut options = Service::options();
            options.max_in_flight(1).slow_client(Duration::from_millis(200));
            let server = Server::from_blocking(options.serve(&endpoint())?);
            let mut flooding = Stream::connect(server.endpoint()).await?;
            let frame = |id| {
                let mut frame = Vec::new();
                Message::Request { id, millis: 0, window: 0, payload: b"x" }.encode(&mut frame);
                frame
            };
            flooding.send(&frame(0)).await?;
            let held = timeout(PATIENCE, server.recv()).await.unwrap()?;
            let flood = tokio::spawn(async move {
                let mut number = 1;
                while flooding.send(&frame(number)).await.is_ok() {
                    number += 1;
                }
                number
            });
            let other = Client::connect(server.endpoint()).await?;
            let call = other.begin(b"other", None).await?;
            let request = timeout(PATIENCE, server.recv()).await.unwrap()?;
            request.reply(b"served").await?;
            assert_eq!(timeout(PATIENCE, call.wait()).await.unwrap()?, b"served");
            timeout(PATIENCE, held.cancelled()).await.expect("it was not cut off");
            // It held the connection.
            drop(held);
            assert!(timeout(PATIENCE, flood).await.unwrap().unwrap() > 2);
            Ok::<_, Error>(())
        })
        .unwrap();
}
