//! `crossing recv`.

use super::names::Carrier;
use super::{packets, queue, socket};
use crate::args::RecvArgs;
use crate::exit::Outcome;
use crate::net_args::SocketType;

/// Receives by whatever carries the endpoint.
pub fn run(args: &RecvArgs) -> Outcome {
    match (Carrier::of(&args.endpoint)?, args.socket_type) {
        (Carrier::Queue, SocketType::Stream) => queue::recv(args),
        (Carrier::Queue, _) => Err(packets::no_socket(&args.endpoint)),
        (Carrier::Socket, SocketType::Stream) => socket::recv(args),
        (Carrier::Socket, _) => packets::recv(args),
    }
}
