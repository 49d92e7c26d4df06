//! A task that reads the connection, of the runtime whose tasks wait for what comes.

use super::{MOMENT, Runtime, Turn, lock};
use crate::link::Link;
use crate::tokio::register;
use crate::{RecvHalf, Result};
use std::ops::ControlFlow;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::io::unix::AsyncFd;
use tokio::io::{Interest, Ready};

/// A connection, as a reactor knows it.
#[derive(Debug)]
struct Watched(Arc<Link>);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.descriptor().as_raw_fd()
    }
}

/// A connection, for the task that reads it.
#[derive(Debug)]
pub(in super::super) struct Watch {
    watched: AsyncFd<Watched>,
    /// Since when it has waited for the next frame, and whether it keeps the runtime from sleeping.
    waiting: Option<(Instant, bool)>,
}

impl Watch {
    /// Has the reactor of this runtime tell of what comes.
    pub(in super::super) fn new(link: &Arc<Link>) -> std::io::Result<Self> {
        let watched = register(Watched(Arc::clone(link)), Interest::READABLE)?;
        Ok(Self { watched, waiting: None })
    }
}

/// The thread of the connection reads from now on, or nobody.
struct Over;

impl Turn {
    /// A task of `runtime` waits from now on, until it [goes](Self::unwatch); whether the task that reads is to begin. `None`: it does
    /// not count, the thread of the connection reads.
    pub(in super::super) fn watch(&self, runtime: Option<Runtime>) -> Option<bool> {
        let mut place = lock(&self.place);
        if self.is_kept() || place.ended {
            return None;
        }
        let begins = match (runtime, place.reader) {
            (Some(here), None) if self.plain => {
                place.reader = Some(here);
                true
            }
            (Some(here), Some(known)) if here == known => false,
            _ => {
                drop(place);
                self.keep();
                return None;
            }
        };
        place.watchers += 1;
        Some(begins)
    }

    pub(in super::super) fn unwatch(&self) {
        let mut place = lock(&self.place);
        place.watchers -= 1;
        self.doze_no_more(place);
    }

    /// A task of `runtime` is to read whether any waits or not; `false` if one does already, or none can.
    pub(in super::super) fn begin_residence(&self, runtime: Runtime) -> bool {
        let mut place = lock(&self.place);
        if self.is_kept() || place.ended || place.reader.is_some() || !self.plain {
            return false;
        }
        place.reader = Some(runtime);
        place.resident = true;
        true
    }

    /// The task reads no more.
    pub(in super::super) fn reader_left(&self) {
        let mut place = lock(&self.place);
        (place.reader, place.waker, place.wants) = (None, None, false);
        self.doze_no_more(place);
    }

    /// The thread of the connection wakes if nobody else reads.
    fn doze_no_more(&self, mut place: std::sync::MutexGuard<'_, super::Place>) {
        if place.dozes && !place.is_watched() {
            place.dozes = false;
            self.changed.notify_one();
        }
    }

    /// Wakes the task that reads.
    pub(in super::super) fn wake_reader(&self) {
        let waker = lock(&self.place).waker.take();
        waker.into_iter().for_each(Waker::wake);
    }

    /// The place, for the task that reads, unless it is taken; its `waker` is for when it is free, or over.
    fn look(&self, waker: &Waker) -> std::result::Result<Option<RecvHalf>, Over> {
        let mut place = lock(&self.place);
        if self.is_kept() || place.ended {
            return Err(Over);
        }
        match &mut place.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        let receiver = place.receiver.take();
        match &receiver {
            Some(_) => place.taken = place.taken.wrapping_add(1),
            None => place.wants = true,
        }
        Ok(receiver)
    }

    /// The place, where a task reads that may not run now, if it is free.
    fn take_from_reader(&self) -> Option<RecvHalf> {
        let mut place = lock(&self.place);
        if self.is_kept() || place.ended || place.reader.is_none() {
            return None;
        }
        place.receiver.take()
    }

    /// Has `give` take what comes, or why nothing comes any more, until it breaks off; `None`: this task is not to read any more.
    /// `soon`: the next may come in a moment, for which the runtime is kept from sleeping where that has been faster.
    pub(in super::super) fn poll_frames<T>(
        &self,
        Watch { watched, waiting }: &mut Watch,
        context: &mut Context<'_>,
        soon: impl Fn() -> bool,
        mut give: impl FnMut(Result<&[u8]>) -> ControlFlow<T>,
    ) -> Poll<Option<T>> {
        let mut receiver = match self.look(context.waker()) {
            Ok(Some(receiver)) => receiver,
            Ok(None) => return Poll::Pending,
            Err(Over) => return Poll::Ready(None),
        };
        let outcome = loop {
            if let ControlFlow::Break(value) = give_ready(&mut receiver, &mut give) {
                break Poll::Ready(Some(value));
            }
            let mut guard = match watched.poll_read_ready(context) {
                Poll::Pending => {
                    if !soon() {
                        *waiting = None;
                    } else {
                        let (begun, looks) =
                            *waiting.get_or_insert_with(|| (Instant::now(), self.habit.choose()));
                        if looks && begun.elapsed() < MOMENT {
                            // After all others that can go on, and a look at the reactor.
                            let _ = pin!(tokio::task::yield_now()).poll(context);
                        }
                    }
                    break Poll::Pending;
                }
                Poll::Ready(Ok(guard)) => guard,
                // The runtime is ending.
                Poll::Ready(Err(_)) => break Poll::Ready(None),
            };
            receiver.0.take_drained();
            match receiver.0.try_fill() {
                Ok(filled) => {
                    // What came since is not forgotten by this.
                    if receiver.0.take_drained() || !filled {
                        guard.clear_ready_matching(Ready::READABLE);
                    }
                    if let Some((begun, looks)) = waiting.take_if(|_| filled) {
                        self.habit.learn(looks, begun.elapsed());
                    }
                }
                Err(error) => {
                    if let ControlFlow::Break(value) = give(Err(error)) {
                        break Poll::Ready(Some(value));
                    }
                }
            }
        };
        self.put_back(receiver);
        outcome
    }

    /// Has `give` take what has come, where the task that reads may not run now.
    pub(in super::super) fn read_now<T>(
        &self,
        mut give: impl FnMut(Result<&[u8]>) -> ControlFlow<T>,
    ) -> Option<T> {
        let mut receiver = self.take_from_reader()?;
        let given = give_ready(&mut receiver, &mut give);
        let given = match given {
            ControlFlow::Continue(()) => match receiver.0.try_fill() {
                Ok(_) => give_ready(&mut receiver, &mut give),
                Err(error) => give(Err(error)),
            },
            broken => broken,
        };
        self.put_back(receiver);
        given.break_value()
    }
}

/// Has the frames taken that are here.
fn give_ready<T>(
    receiver: &mut RecvHalf,
    give: &mut impl FnMut(Result<&[u8]>) -> ControlFlow<T>,
) -> ControlFlow<T> {
    while receiver.0.is_here() {
        give(receiver.0.ready_frame())?;
    }
    ControlFlow::Continue(())
}
