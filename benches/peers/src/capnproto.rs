//! Cap'n Proto RPC over a Unix socket, as its examples do. `generated/echo_capnp.rs` is made of `echo.capnp` by
//! `capnpc` 0.27.0 (`cargo install capnpc && capnp compile -orust:generated echo.capnp`).

use crate::Task;
use crate::echo_capnp::echo;
use crate::rpc::{end_with_input, in_flight, measure, reply};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, twoparty};
use futures::AsyncReadExt;
use futures::io::{BufReader, BufWriter};
use std::rc::Rc;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::compat::TokioAsyncReadCompatExt;

struct Echo;

impl echo::Server for Echo {
    async fn call(
        self: Rc<Self>,
        params: echo::CallParams,
        mut results: echo::CallResults,
    ) -> Result<(), capnp::Error> {
        results.get().set_payload(&reply(params.get()?.get_payload()?));
        Ok(())
    }
}

fn network(
    stream: UnixStream,
    side: Side,
) -> Box<twoparty::VatNetwork<impl futures::AsyncRead + Unpin + 'static>> {
    let (reader, writer) = stream.compat().split();
    let (reader, writer) = (BufReader::new(reader), BufWriter::new(writer));
    Box::new(twoparty::VatNetwork::new(reader, writer, side, capnp::message::ReaderOptions::default()))
}

async fn ask(client: echo::Client, bytes: Vec<u8>) -> Vec<u8> {
    let mut request = client.call_request();
    request.get().set_payload(&bytes);
    let response = request.send().promise.await.expect("a reply");
    response.get().and_then(|results| results.get_payload()).expect("its bytes").to_vec()
}

pub fn work(task: &Task) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let serve = async {
        let listener = UnixListener::bind(&task.name).expect("listen");
        println!("ready");
        let client: echo::Client = capnp_rpc::new_client(Echo);
        loop {
            let (stream, _) = listener.accept().await.expect("accept");
            let system = RpcSystem::new(network(stream, Side::Server), Some(client.clone().client));
            tokio::task::spawn_local(system);
        }
    };
    let asking = async {
        let stream = UnixStream::connect(&task.name).await.expect("connect");
        let mut system = RpcSystem::new(network(stream, Side::Client), None);
        let client: echo::Client = system.bootstrap(Side::Server);
        tokio::task::spawn_local(system);
        let call = move |bytes| ask(client.clone(), bytes);
        measure(in_flight(&task.role), task.count, task.len, call).await;
    };
    let local = tokio::task::LocalSet::new();
    if task.role == "serve" {
        end_with_input();
        local.block_on(&runtime, serve);
    } else {
        local.block_on(&runtime, asking);
    }
}
