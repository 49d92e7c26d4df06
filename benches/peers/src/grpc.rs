//! gRPC by tonic over a Unix socket: what its code generator would write for one call of bytes.

use crate::Task;
use crate::rpc::{end_with_input, in_flight, measure, reply};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::UnixListener;
use tokio::runtime::Builder;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

const PATH: &str = "/bench.Echo/Call";

#[derive(Clone, PartialEq, prost::Message)]
struct Payload {
    #[prost(bytes = "vec", tag = "1")]
    bytes: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Echo;

impl UnaryService<Payload> for Echo {
    type Response = Payload;
    type Future = Ready<Result<Response<Payload>, Status>>;

    fn call(&mut self, request: Request<Payload>) -> Self::Future {
        ready(Ok(Response::new(Payload { bytes: reply(&request.get_ref().bytes) })))
    }
}

/// The server that routes calls to it.
#[derive(Debug, Clone)]
struct EchoServer;

impl NamedService for EchoServer {
    const NAME: &'static str = "bench.Echo";
}

impl tower::Service<http::Request<Body>> for EchoServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let codec = ProstCodec::<Payload, Payload>::default();
            Ok(tonic::server::Grpc::new(codec).unary(Echo, request).await)
        })
    }
}

async fn ask(channel: Channel, bytes: Vec<u8>) -> Vec<u8> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("a channel");
    let path = http::uri::PathAndQuery::from_static(PATH);
    let codec = ProstCodec::<Payload, Payload>::default();
    let reply: Response<Payload> =
        client.unary(Request::new(Payload { bytes }), path, codec).await.expect("a reply");
    reply.into_inner().bytes
}

pub fn work(task: &Task) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    if task.role == "serve" {
        end_with_input();
        runtime.block_on(async {
            let listener = UnixListener::bind(&task.name).expect("listen");
            println!("ready");
            let incoming = UnixListenerStream::new(listener);
            Server::builder().add_service(EchoServer).serve_with_incoming(incoming).await.expect("serve");
        });
        return;
    }
    let asking = async {
        let endpoint = Endpoint::from_shared(format!("unix:{}", task.name)).expect("an endpoint");
        let channel = endpoint.connect().await.expect("connect");
        let call = move |bytes| ask(channel.clone(), bytes);
        measure(in_flight(&task.role), task.count, task.len, call).await;
    };
    tokio::task::LocalSet::new().block_on(&runtime, asking);
}
