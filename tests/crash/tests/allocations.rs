//! No allocation on a send or a receive, once as many messages have been out as ever are at a time.
#![allow(unsafe_code)] // an allocator that counts

use crossing_bus::{Overflow, Topic};
use crossing_testkit::unique_name;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is the system's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // At a thread's end the count may be gone.
        let _ = COUNT.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's contract is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() -> u64 {
    COUNT.with(Cell::get)
}

fn check(overflow: Overflow, in_place: bool) {
    let topic = Topic::<[u8]>::options()
        .depth(8)
        .max_len(4096)
        .max_borrowed(3)
        .overflow(overflow)
        .in_place(in_place)
        .open(&unique_name("allocations"))
        .unwrap();
    let publisher = topic.publisher().unwrap();
    let mut subscriber = topic.subscriber().unwrap();
    let message = [7_u8; 4096];
    let mut round = || {
        for len in [0, 8, 48, 100, 112, 113, 1000, 4096] {
            publisher.send(&message[..len]).unwrap();
            let held = subscriber.recv().unwrap();
            let mut loan = publisher.loan_slice(len).unwrap();
            loan.fill(9);
            loan.send().unwrap();
            drop(publisher.loan_slice(len).unwrap());
            let next = subscriber.try_recv().unwrap();
            assert_eq!((held.len(), next.len()), (len, len));
            assert!(subscriber.try_recv().is_err());
        }
    };
    (0..20).for_each(|_| round());
    let before = count();
    (0..200).for_each(|_| round());
    assert_eq!(count() - before, 0, "{overflow:?}, in place: {in_place}");
}

#[test]
fn messages_cost_no_allocation() {
    let before = count();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(count() - before, 1, "allocations are seen");
    for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest, Overflow::Fail] {
        for in_place in [true, false] {
            check(overflow, in_place);
        }
    }
}
