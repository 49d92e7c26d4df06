//! Putting right what a dead user left.
//!
//! # Protocol
//! A participant writes its id into its ledger before anything else, and 0 after it has done with everything. An id whose
//! participant is proven dead is swept by whoever notices: while sleeping, when the queue is full, every few thousand
//! messages. Whoever gets the dead one's slot of the table replaces the id by his own and sweeps at once, before he uses the
//! queue. A sweep goes through every slot and mends what belongs to *any* dead participant of that slot of the table, so
//! that it also finds what one left who died while he swept for his predecessor. Each step may be done twice, or by several
//! at once; the id stays until one went through.
//!
//! | found, by the dead | becomes |
//! |---|---|
//! | WRITING | FREE, one use later |
//! | READY | named again in its lane (twice is harmless), then READY by nobody |
//! | TAKEN | TAKEN by the sweeper, who gives it back: due at once, or buried if it was delivered too often |
//! | ASIDE | marked again, then ASIDE by nobody |

use super::core::Limits;
use super::words::{State, Word, Words};
use super::{aside, lanes, slots};
use crossing_sync::ParticipantId;
use crossing_sync::atomic::Ordering;
use crossing_sys::crash;

/// The slots that ever had a user.
fn users<W: Words>(words: &W) -> std::ops::Range<usize> {
    let users = words.shared().users.0.load(Ordering::SeqCst);
    0..usize::try_from(users).unwrap_or(usize::MAX).min(words.users())
}

/// Sweeps for every user that died; says whether there was one.
pub(super) fn patrol<W: Words>(words: &W, limits: &Limits) -> bool {
    let mut found = false;
    for user in users(words) {
        let id = words.ledger(user).user.load(Ordering::Acquire);
        let Some(participant) = ParticipantId::from_raw(id) else { continue };
        if participant != words.me().id() && !words.me().is_alive(participant) {
            sweep(words, limits, user, id);
            found = true;
        }
    }
    found
}

/// Whether others hold deliveries: their death would concern who waits.
pub(super) fn others_hold<W: Words>(words: &W) -> bool {
    let own = words.me().id().slot();
    users(words).filter(|user| Some(*user) != own).any(|user| {
        let ledger = words.ledger(user);
        ledger.user.load(Ordering::Relaxed) != 0
            && ledger.taken.load(Ordering::Relaxed) != ledger.done.load(Ordering::Relaxed)
    })
}

/// Puts right what the dead of slot `user` left, whose ledger shows `seen`.
pub(super) fn sweep<W: Words>(words: &W, limits: &Limits, user: usize, seen: u32) {
    crash::point("queue.sweep.before");
    // Who was asked about last, and whether he lives: mostly one.
    let mut judged = (0, true);
    for index in 0..words.capacity() {
        let word = Word(words.slot(index).word.load(Ordering::Acquire));
        let owner = word.owner();
        if let Some(participant) = ParticipantId::from_raw(owner)
            && participant.slot() == Some(user)
        {
            if judged.0 != owner {
                judged = (owner, words.me().is_alive(participant));
            }
            if !judged.1 {
                mend(words, limits, index, word);
            }
        }
        // Marks that the dead set, or did not clear.
        if word.state() == Some(State::Free) {
            slots::unmark(words, index);
        }
    }
    lanes::raise(words, (1 << super::words::LANES) - 1);
    crash::point("queue.sweep.mended");
    if seen != words.me().id().raw() {
        let _ = words.ledger(user).user.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
    super::bells::sweep(words);
    super::bells::ring_arrivals(words);
    super::bells::ring_room(words);
}

fn mend<W: Words>(words: &W, limits: &Limits, index: u32, word: Word) {
    let slot = words.slot(index);
    let nobody = |state| {
        let _ = slot.word.compare_exchange(word.0, word.to(state, 0).0, Ordering::SeqCst, Ordering::Relaxed);
    };
    match word.state() {
        Some(State::Writing) => {
            slots::free(words, index, word);
        }
        Some(State::Ready) => {
            let lane = (slot.meta.load(Ordering::Relaxed) as u32 & 0xff).min(super::words::DEAD);
            if lanes::push(words, lane, index, word) {
                crash::point("queue.sweep.named");
                nobody(State::Ready);
            }
        }
        Some(State::Taken) => {
            // Ours first: only an owner may write the rest of a slot.
            let mine = word.to(State::Taken, words.me().id().raw());
            if slot.word.compare_exchange(word.0, mine.0, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
                crash::point("queue.sweep.taken");
                // The dead one may have died before it counted the delivery; whether it had read the message nobody knows.
                let meta = slot.meta.load(Ordering::Relaxed);
                if meta >> 32 == 0 {
                    slot.meta.store(meta | (1 << 32), Ordering::Relaxed);
                }
                super::core::give_back(words, limits, index, mine, 0);
            }
        }
        Some(State::Aside) => {
            aside::mark(words, index, slot.due.load(Ordering::Relaxed));
            nobody(State::Aside);
        }
        Some(State::Free) | None => {}
    }
}
