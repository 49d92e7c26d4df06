//! `crossing send`.

use super::names::Carrier;
use super::{packets, queue, socket};
use crate::args::SendArgs;
use crate::exit::Outcome;
use crate::net_args::SocketType;

/// Sends by whatever carries the endpoint.
pub fn run(args: &SendArgs) -> Outcome {
    match (Carrier::of(&args.endpoint)?, args.socket_type) {
        (Carrier::Queue, SocketType::Stream) => queue::send(args),
        (Carrier::Queue, _) => Err(packets::no_socket(&args.endpoint)),
        (Carrier::Socket, SocketType::Stream) => socket::send(args),
        (Carrier::Socket, _) => packets::send(args),
    }
}
