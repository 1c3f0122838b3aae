//! The `tracing` events of one thread, kept.

use std::{cell::RefCell, collections::BTreeMap, fmt, rc::Rc, sync::Once};

use tracing::{
    Level, Metadata, Subscriber, callsite,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};

type Seen = Rc<RefCell<Vec<Event>>>;

thread_local! {
    /// Where the events of this thread go while a test captures them, and the least serious that do.
    static SEEN: RefCell<Option<(Seen, Level)>> = const { RefCell::new(None) };
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// How serious it is.
    pub level: Level,
    /// What happened.
    pub message: String,
    /// Everything else, as text.
    pub fields: BTreeMap<&'static str, String>,
}

impl Event {
    /// The attribute `name`, or the empty text where it has none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// The events of `rpc` on this thread, from when it was made until it is dropped. For runtimes of one thread.
#[derive(Debug)]
pub struct Events(Seen);

impl Events {
    /// Begins to keep them.
    pub fn capture() -> Self {
        Self::capture_down_to(Level::TRACE)
    }

    /// Those that are as serious as `level`, or more, where there are too many of the others to be kept.
    pub fn capture_down_to(level: Level) -> Self {
        // One subscriber for the process. With one for each thread, a place that logs first where nobody listens may be taken
        // for one in which nobody is interested.
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| tracing::subscriber::set_global_default(Keeper).expect("there is no other"));
        callsite::rebuild_interest_cache();
        let seen = Seen::default();
        SEEN.set(Some((Rc::clone(&seen), level)));
        Self(seen)
    }

    /// All so far.
    pub fn all(&self) -> Vec<Event> {
        self.0.borrow().clone()
    }

    /// Those that say `message`.
    pub fn of(&self, message: &str) -> Vec<Event> {
        self.0.borrow().iter().filter(|event| event.message == message).cloned().collect()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        SEEN.set(None);
    }
}

/// Gives each event to the thread that it happened on.
struct Keeper;

impl Subscriber for Keeper {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_wanted =
            |seen: &Option<(Seen, Level)>| seen.as_ref().is_some_and(|(_, least)| metadata.level() <= least);
        SEEN.with_borrow(is_wanted) && metadata.target().split("::").next() == Some("rpc")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        let Fields(mut fields) = fields;
        let message = fields.remove("message").unwrap_or_default();
        let level = *event.metadata().level();
        SEEN.with_borrow(|seen| {
            if let Some((seen, _)) = seen {
                seen.borrow_mut().push(Event { level, message, fields });
            }
        });
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
