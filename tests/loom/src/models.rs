//! The models. Each is run in every interleaving of its threads.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
};

use loom::{future::block_on, sync::Notify, thread};

use crate::{
    guarded::{Capacity, Flags, Guarded, Hinted, Snapshot},
    jsonrpc::Reply,
    reply_slot::ReplySlot,
};

/// The models by their names.
pub(crate) const ALL: &[(&str, fn())] = &[
    ("a message that is queued is taken, though the loop sleeps", queued_messages_are_taken),
    ("a permit that becomes free wakes the loop", free_permits_are_noticed),
    ("the loop sees a deadline that moves, and the end", flags_are_seen),
    ("the hints are never behind a change that a task was told of", hints_follow_the_state),
    ("a sender that waits for capacity gets it", capacity_is_not_missed),
    ("each of two waiting senders gets its turn", senders_wake_each_other),
    ("a reply wakes the task that waits for it, whichever comes first", replies_are_not_missed),
    ("a call that is polled by another task wakes that one", replies_wake_the_last_task),
];

/// Runs a model in every interleaving, and gives their number.
pub(crate) fn check(model: fn()) -> usize {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let mut builder = loom::model::Builder::new();
    // More switches than this between threads that could go on find nothing that fewer do not, in models of this size.
    builder.preemption_bound = Some(2);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    runs.load(Ordering::Relaxed)
}

/// The parts of a session's state that the hints are made from.
#[derive(Debug, Default)]
struct Toy {
    queued: usize,
    requests: usize,
    deadline_moved: bool,
    has_ended: bool,
}

impl Hinted for Toy {
    fn snapshot(&self) -> Snapshot {
        Snapshot {
            flags: Flags::DEADLINE.when(self.deadline_moved).and(Flags::ENDED.when(self.has_ended)),
            queued: self.queued,
            requests: self.requests,
            ..Snapshot::default()
        }
    }
}

fn toy(state: Toy) -> Arc<Guarded<Toy>> {
    Arc::new(Guarded::new(state))
}

/// Runs as the loop does: registers, looks, sleeps, until `done`.
fn run_loop(shared: &Guarded<Toy>, mut done: impl FnMut() -> bool) {
    block_on(poll_fn(|cx| {
        shared.register(cx.waker());
        if done() { Poll::Ready(()) } else { Poll::Pending }
    }));
}

fn queued_messages_are_taken() {
    let shared = toy(Toy::default());
    let senders = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.with(|state| state.queued += 1))
    });
    let mut taken = 0;
    run_loop(&shared, || {
        if shared.hints().queued() > 0 {
            taken += shared.with(|state| std::mem::take(&mut state.queued));
        }
        taken == 2
    });
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

fn free_permits_are_noticed() {
    let shared = toy(Toy { requests: 2, ..Toy::default() });
    let handlers = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.with(|state| state.requests -= 1))
    });
    run_loop(&shared, || shared.hints().requests() == 0);
    handlers.into_iter().for_each(|handler| handler.join().unwrap());
}

fn flags_are_seen() {
    let shared = toy(Toy::default());
    let caller = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.with(|state| state.deadline_moved = true))
    };
    let closer = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.with(|state| state.has_ended = true))
    };
    let mut looked = false;
    run_loop(&shared, || {
        if shared.hints().has(Flags::DEADLINE) {
            looked |= shared.with(|state| std::mem::take(&mut state.deadline_moved));
        }
        looked && shared.hints().has(Flags::ENDED)
    });
    caller.join().unwrap();
    closer.join().unwrap();
}

fn hints_follow_the_state() {
    let shared = toy(Toy::default());
    let change = |change: fn(&mut Toy)| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.with(change))
    };
    let changer = change(|state| (state.queued, state.requests) = (7, 3));
    let other = change(|state| state.has_ended = true);
    // Joining it tells of its change, whatever the other one does meanwhile.
    changer.join().unwrap();
    assert_eq!((shared.hints().queued(), shared.hints().requests()), (7, 3));
    other.join().unwrap();
    assert!(shared.hints().has(Flags::ENDED));
    assert_eq!(shared.read(|state| state.queued), 7);
}

/// A session whose outgoing bytes have capacity for one message.
struct Narrow {
    shared: Guarded<Toy>,
    capacity: Capacity,
    made: Notify,
}

impl Narrow {
    fn new() -> Arc<Self> {
        let (shared, capacity) = (Guarded::new(Toy::default()), Capacity::default());
        Arc::new(Self { shared, capacity, made: Notify::new() })
    }

    fn has_capacity(&self) -> bool {
        self.capacity.waiting(self.shared.hints().queued()) < 1
    }

    /// As a handle sends: under the lock if there is capacity, and otherwise when some was made.
    fn send(&self) {
        let mut has_waited = false;
        loop {
            let sent = self.shared.with(|state| {
                let admitted = self.capacity.has_or_wants(|| self.has_capacity());
                state.queued += usize::from(admitted);
                admitted
            });
            if sent {
                break;
            }
            self.made.wait();
            has_waited = true;
        }
        if has_waited && self.capacity.has_or_wants(|| self.has_capacity()) {
            self.made.notify();
        }
    }

    /// As the loop writes: takes what is queued, and then has written it.
    fn write(&self, messages: usize) {
        let mut written = 0;
        run_loop(&self.shared, || {
            while self.shared.hints().queued() > 0 {
                let taken = self.shared.with(|state| {
                    let taken = std::mem::take(&mut state.queued);
                    self.capacity.set_unwritten(taken);
                    taken
                });
                assert!(taken <= 1, "the capacity is for one");
                written += taken;
                self.capacity.set_unwritten(0);
                if self.capacity.made(|| self.has_capacity()) {
                    self.made.notify();
                }
            }
            written == messages
        });
    }
}

fn capacity_is_not_missed() {
    let narrow = Narrow::new();
    let sender = {
        let narrow = Arc::clone(&narrow);
        thread::spawn(move || {
            narrow.send();
            narrow.send();
        })
    };
    narrow.write(2);
    sender.join().unwrap();
}

fn senders_wake_each_other() {
    let narrow = Narrow::new();
    let senders = [(); 2].map(|()| {
        let narrow = Arc::clone(&narrow);
        thread::spawn(move || narrow.send())
    });
    narrow.write(2);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

/// Waits for the reply as a call does.
fn await_reply(slot: &ReplySlot) -> u32 {
    let outcome = block_on(poll_fn(|cx| slot.poll(cx.waker())));
    let Ok(Reply(number)) = outcome;
    assert!(slot.poll(Waker::noop()).is_pending(), "there is one outcome");
    number
}

fn replies_are_not_missed() {
    let slot = ReplySlot::waiting(None);
    let deliverer = {
        let slot = Arc::clone(&slot);
        thread::spawn(move || ReplySlot::complete(slot, Ok(Reply(7))))
    };
    assert_eq!(await_reply(&slot), 7);
    deliverer.join().unwrap();
}

fn replies_wake_the_last_task() {
    let slot = ReplySlot::waiting(None);
    let deliverer = {
        let slot = Arc::clone(&slot);
        thread::spawn(move || ReplySlot::complete(slot, Ok(Reply(7))))
    };
    // One task has polled it, and gives it to another.
    match slot.poll(Waker::noop()) {
        Poll::Ready(Ok(Reply(number))) => assert_eq!(number, 7),
        Poll::Pending => assert_eq!(await_reply(&slot), 7),
    }
    deliverer.join().unwrap();
}
