//! Requests, replies and parts that are written before they are sent: over `shm:` where they will be read, elsewhere in a buffer.

use super::client::{Call, Client};
use super::server::Request;
use crate::queue::Payload;
use crate::queue::service as shared;
use crate::{Result, net};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

enum AskedIn<R: Payload + ?Sized> {
    Place(shared::RequestLoan<R>),
    Buffer(Vec<u8>, Client<[u8], R>, Option<Instant>),
}

/// A request that is being written. Dropped, it never was.
#[must_use = "a loan that is not sent is dropped"]
pub struct RequestLoan<R: Payload + ?Sized = [u8]>(AskedIn<R>);

impl<R: Payload + ?Sized> RequestLoan<R> {
    pub(super) fn of_shared(loan: shared::RequestLoan<R>) -> Self {
        Self(AskedIn::Place(loan))
    }

    pub(super) fn of_socket(client: Client<[u8], R>, len: usize, deadline: Option<Instant>) -> Self {
        Self(AskedIn::Buffer(vec![0; len], client, deadline))
    }

    /// Sends it.
    ///
    /// # Errors
    /// As [`Client::begin`].
    pub fn send(self) -> Result<Call<R>> {
        match self.0 {
            AskedIn::Place(loan) => loan.send().map(Call::of_shared),
            AskedIn::Buffer(bytes, client, deadline) => client.begin(&bytes, deadline),
        }
    }
}

enum AnsweredIn<Q: Payload + ?Sized> {
    Place(shared::ReplyLoan<Q>),
    Buffer(Vec<u8>, Request<Q, [u8]>),
}

/// A reply that is being written. Dropped, the client is told that there is no answer.
#[must_use = "a loan that is not sent is dropped"]
pub struct ReplyLoan<Q: Payload + ?Sized = [u8]>(AnsweredIn<Q>);

impl<Q: Payload + ?Sized> ReplyLoan<Q> {
    pub(super) fn of_shared(loan: shared::ReplyLoan<Q>) -> Self {
        Self(AnsweredIn::Place(loan))
    }

    pub(super) fn of_socket(request: Request<Q, [u8]>, len: usize) -> Self {
        Self(AnsweredIn::Buffer(vec![0; len], request))
    }

    /// What the client sent.
    #[must_use]
    pub fn payload(&self) -> &Q {
        match &self.0 {
            AnsweredIn::Place(loan) => loan.request().payload(),
            AnsweredIn::Buffer(_, request) => request.payload(),
        }
    }

    /// Sends it.
    ///
    /// # Errors
    /// As [`Request::reply`].
    pub fn send(self) -> Result<()> {
        match self.0 {
            AnsweredIn::Place(loan) => loan.send(),
            AnsweredIn::Buffer(bytes, request) => request.reply(&bytes),
        }
    }
}

enum PartIn<'s, Q: Payload + ?Sized> {
    Place(shared::PartLoan<'s, Q>),
    Buffer(Vec<u8>, &'s mut net::ReplyStream, Option<Instant>),
}

/// A part that is being written. Dropped, it never was.
#[must_use = "a loan that is not sent is dropped"]
pub struct PartLoan<'s, Q: Payload + ?Sized = [u8]>(PartIn<'s, Q>);

impl<'s, Q: Payload + ?Sized> PartLoan<'s, Q> {
    pub(super) fn of_shared(loan: shared::PartLoan<'s, Q>) -> Self {
        Self(PartIn::Place(loan))
    }

    pub(super) fn of_socket(stream: &'s mut net::ReplyStream, len: usize, deadline: Option<Instant>) -> Self {
        Self(PartIn::Buffer(vec![0; len], stream, deadline))
    }

    /// Sends it.
    ///
    /// # Errors
    /// As [`ReplyStream::send_timeout`](super::ReplyStream::send_timeout).
    pub fn send(self) -> Result<()> {
        match self.0 {
            PartIn::Place(loan) => loan.send(),
            PartIn::Buffer(bytes, stream, deadline) => stream.send_deadline(&bytes, deadline),
        }
    }
}

/// The bytes of a loan, wherever they are.
macro_rules! bytes {
    ($name:ident, $inside:ident, [$($generics:tt)*], $kind:ty) => {
        impl<$($generics)*> Deref for $kind {
            type Target = [u8];

            fn deref(&self) -> &[u8] {
                match &self.0 {
                    $inside::Place(loan) => loan,
                    $inside::Buffer(bytes, ..) => bytes,
                }
            }
        }

        impl<$($generics)*> DerefMut for $kind {
            fn deref_mut(&mut self) -> &mut [u8] {
                match &mut self.0 {
                    $inside::Place(loan) => loan,
                    $inside::Buffer(bytes, ..) => bytes,
                }
            }
        }

        impl<$($generics)*> fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("len", &self.len()).finish_non_exhaustive()
            }
        }
    };
}

bytes!(RequestLoan, AskedIn, [R: Payload + ?Sized], RequestLoan<R>);
bytes!(ReplyLoan, AnsweredIn, [Q: Payload + ?Sized], ReplyLoan<Q>);
bytes!(PartLoan, PartIn, ['s, Q: Payload + ?Sized], PartLoan<'s, Q>);
