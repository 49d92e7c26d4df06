//! Services for tokio behind one API: the same test over each carrier, with futures that are dropped half-way.
#![cfg(unix)] // tokio waits on descriptors there alone

use crossing::service::{CallError, Service};
use crossing::tokio::{Client, Server};
use crossing::{Error, ErrorKind};
use crossing_testkit::polls::{a_few, at_most};
use crossing_testkit::proxy::Random;
use crossing_testkit::{PATIENCE, unique_name, watchdog};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);

/// Over each carrier, on one thread and on several.
fn over_each<F: Future<Output = Result<(), Error>>>(test: impl Fn(String) -> F) {
    let _watchdog = watchdog(8 * PATIENCE);
    for several in [false, true] {
        let path = std::env::temp_dir().join(unique_name("crossing-facade-tokio"));
        let shm = format!("shm:{}", unique_name("facade-tokio"));
        for endpoint in [shm, format!("unix:{}", path.display()), "tcp:127.0.0.1:0".to_owned()] {
            let runtime = match several {
                false => tokio::runtime::Builder::new_current_thread().enable_all().build(),
                true => tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build(),
            };
            runtime.unwrap().block_on(test(endpoint)).unwrap();
        }
    }
}

#[test]
fn values_there_and_back_with_futures_that_are_dropped() {
    over_each(async |endpoint| {
        let mut options = Service::<[u64; 3], u128>::options();
        let server = Server::from_blocking(options.max_in_flight(4).serve(&endpoint)?)?;
        let client = Client::connect_with(&options, &server.endpoint()).await?;
        assert_eq!(client.servers(), 1);
        let serving = tokio::spawn({
            let server = server.clone();
            async move {
                let mut random = Random::new(1);
                loop {
                    let Some(request) = a_few(&mut random, server.recv()).await else { continue };
                    let request = request.unwrap();
                    let sum = request.payload().iter().map(|part| u128::from(*part)).sum();
                    let _ = a_few(&mut random, request.reply(&sum)).await;
                }
            }
        });
        let tasks: Vec<_> = (0..16_u64)
            .map(|task| {
                let client = client.clone();
                tokio::spawn(async move {
                    let (mut random, mut number, mut dropped) = (Random::new(task + 2), 0, 0);
                    while number < 100 {
                        let request = [task, number, u64::MAX];
                        match a_few(&mut random, client.call(&request)).await {
                            Some(sum) => {
                                let wanted = u128::from(task) + u128::from(number) + u128::from(u64::MAX);
                                assert_eq!(*sum?, wanted);
                                number += 1;
                            }
                            None => dropped += 1,
                        }
                    }
                    Ok::<_, Error>(dropped)
                })
            })
            .collect();
        let mut dropped = 0;
        for task in tasks {
            dropped += task.await.unwrap()?;
        }
        assert!(dropped > 0, "no call was dropped");
        serving.abort();
        let _ = serving.await;
        // Every place is free again, and what was dropped is not seen.
        let mut calls = Vec::new();
        for number in 0..4 {
            calls.push(timeout(PATIENCE, client.begin(&[7, 7, number], None)).await.unwrap()?);
        }
        assert!(at_most(1, client.begin(&[9; 3], None)).await.is_none());
        let mut answered = 0;
        while answered < 4 {
            let request = timeout(PATIENCE, server.recv()).await.unwrap()?;
            if request.payload()[0] == 7 {
                let number = request.payload()[2].into();
                request.reply(&number).await?;
                answered += 1;
            }
        }
        for (mut call, number) in calls.into_iter().zip(0..4) {
            assert_eq!(*timeout(PATIENCE, call.ready()).await.unwrap()?, number);
        }
        Ok(())
    });
}

#[test]
fn parts_failures_and_cancelling() {
    over_each(async |endpoint| {
        let mut options = Service::<u64, u64>::options();
        let server = Server::from_blocking(options.max_parts(3).serve(&endpoint)?)?;
        let client = Client::connect_with(&options, &server.endpoint()).await?;
        let serving = tokio::spawn(async move {
            let mut random = Random::new(20);
            let mut answer = server.recv().await?.stream()?;
            let mut number = 0;
            while number < *answer.payload() {
                if let Some(sent) = a_few(&mut random, answer.send(&number)).await {
                    sent?;
                    number += 1;
                }
            }
            answer.fail_with(7, "no more numbers").await?;
            Ok::<_, Error>(server)
        });
        let mut replies = client.call_stream(&1000, Instant::now() + 4 * PATIENCE).await?;
        let (mut random, mut wanted) = (Random::new(21), 0);
        let error = loop {
            match a_few(&mut random, replies.recv()).await {
                Some(Ok(Some(part))) => {
                    assert_eq!(*part, wanted, "lost or doubled");
                    wanted += 1;
                }
                Some(Ok(None)) => panic!("it does not end well"),
                Some(Err(error)) => break error,
                None => {}
            }
        };
        assert_eq!(wanted, 1000);
        assert!(matches!(error.call(), Some(CallError::Application(said)) if said.code() == 7), "{error}");
        drop(replies);
        let server = serving.await.unwrap()?;
        // Dropped half-way, it is cancelled there.
        let calling = tokio::spawn({
            let client = client.clone();
            async move { client.call(&1).await.map(|reply| *reply) }
        });
        let request = timeout(PATIENCE, server.recv()).await.unwrap()?;
        assert!(at_most(1, request.cancelled()).await.is_none() && request.time_left().is_none());
        calling.abort();
        timeout(PATIENCE, request.cancelled()).await.unwrap();
        assert!(request.is_cancelled());
        drop(request);
        let error = client.call_timeout(&1, MS * 20).await.unwrap_err();
        assert_eq!(error.call(), Some(&CallError::DeadlinePassed), "{error}");
        Ok(())
    });
}

#[test]
fn a_request_of_another_size_is_refused_by_a_socket_too() {
    let _watchdog = watchdog(4 * PATIENCE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Service::<u64, u64>::options().serve("tcp:127.0.0.1:0").unwrap();
        let server = Server::from_blocking(server).unwrap();
        let bytes = Client::<[u8], [u8]>::connect(&server.endpoint()).await.unwrap();
        let call = bytes.begin(b"short", None).await.unwrap();
        let serving = tokio::spawn(async move {
            let request = server.recv().await?;
            let answer = request.payload() + 1;
            request.reply(&answer).await?;
            Ok::<_, Error>(server)
        });
        let error = timeout(PATIENCE, call.wait()).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("5 bytes"), "{error}");
        assert_eq!(*bytes.call(&8_u64.to_le_bytes()).await.unwrap(), 9_u64.to_le_bytes());
        let server = serving.await.unwrap().unwrap();
        let wrong = Client::<u64, u32>::connect(&server.endpoint()).await.unwrap();
        let call = wrong.begin(&1, None).await.unwrap();
        server.recv().await.unwrap().reply(&2).await.unwrap();
        assert_eq!(call.wait().await.unwrap_err().kind(), ErrorKind::Incompatible);
    });
}
