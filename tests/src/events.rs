//! The `tracing` events of one thread, kept, and the spans that they are in.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    pin::pin,
    rc::Rc,
    sync::{
        Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;
use tracing::{
    Level, Metadata, Subscriber, callsite,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};
use tracing_core::span::Current;

thread_local! {
    /// Where the events of this thread go while a test captures them.
    static CAPTURE: RefCell<Option<Capture>> = const { RefCell::new(None) };
    /// The spans that this thread is in, the innermost last.
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Told of each event, and of each span that is closed.
static CHANGED: Notify = Notify::const_new();

/// Spans may be entered and left on any thread.
static SPANS: Mutex<BTreeMap<u64, Kept>> = Mutex::new(BTreeMap::new());

fn spans() -> MutexGuard<'static, BTreeMap<u64, Kept>> {
    SPANS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Clone)]
struct Capture {
    seen: Rc<RefCell<Vec<Event>>>,
    /// The least serious that are kept.
    least: Level,
    number: u64,
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// How serious it is.
    pub level: Level,
    /// What a filter knows it by.
    pub target: &'static str,
    /// What happened.
    pub message: String,
    /// Everything else, as text: its own attributes, and those of the spans that it is in.
    pub fields: BTreeMap<&'static str, String>,
    /// Its own attributes that are text: a subscriber quotes and escapes them.
    pub texts: BTreeSet<&'static str>,
    /// The number of the innermost span that it is in.
    pub span: Option<u64>,
}

impl Event {
    /// The attribute `name`, or the empty text where it has none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// The events of `rpc` on this thread, and those with the target `user`, from when it was made until it is dropped. For runtimes of
/// one thread.
#[derive(Debug)]
pub struct Events {
    seen: Rc<RefCell<Vec<Event>>>,
    number: u64,
}

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
        static NEXT: AtomicU64 = AtomicU64::new(1);
        INSTALL.call_once(|| tracing::subscriber::set_global_default(Keeper).expect("there is no other"));
        callsite::rebuild_interest_cache();
        let (seen, number) = (Rc::default(), NEXT.fetch_add(1, Ordering::Relaxed));
        CAPTURE.set(Some(Capture { seen: Rc::clone(&seen), least: level, number }));
        Self { seen, number }
    }

    /// All so far.
    pub fn all(&self) -> Vec<Event> {
        self.seen.borrow().clone()
    }

    /// Those that say `message`.
    pub fn of(&self, message: &str) -> Vec<Event> {
        self.seen.borrow().iter().filter(|event| event.message == message).cloned().collect()
    }

    /// Waits until `condition` holds, which is asked whenever there is an event, or a span is closed.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        loop {
            let mut changed = pin!(CHANGED.notified());
            changed.as_mut().enable();
            if condition(self) {
                return;
            }
            changed.await;
        }
    }

    /// How many of the spans that were begun meanwhile are not closed.
    pub fn open_spans(&self) -> usize {
        spans().values().filter(|span| span.capture == self.number).count()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        CAPTURE.set(None);
    }
}

/// A span.
struct Kept {
    metadata: &'static Metadata<'static>,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
    handles: usize,
    /// During which capture it was begun.
    capture: u64,
}

/// Gives each event to the thread that it happened on.
struct Keeper;

impl Subscriber for Keeper {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_wanted = |capture: &Option<Capture>| {
            capture.as_ref().is_some_and(|capture| *metadata.level() <= capture.least)
        };
        CAPTURE.with_borrow(is_wanted) && matches!(metadata.target().split("::").next(), Some("rpc" | "user"))
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let span = ENTERED.with_borrow(|entered| entered.last().copied());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields(mut fields, texts) = fields;
        let message = fields.remove("message").unwrap_or_default();
        let (all, mut around) = (spans(), span);
        while let Some(kept) = around.and_then(|span| all.get(&span)) {
            for (name, value) in &kept.fields {
                fields.entry(name).or_insert_with(|| value.clone());
            }
            around = kept.parent;
        }
        drop(all);
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        CAPTURE.with_borrow(|capture| {
            if let Some(capture) = capture {
                capture.seen.borrow_mut().push(Event { level, target, message, fields, texts, span });
            }
        });
        CHANGED.notify_waiters();
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let parent = match attributes.is_contextual() {
            true => ENTERED.with_borrow(|entered| entered.last().copied()),
            false => attributes.parent().map(span::Id::into_u64),
        };
        let capture = CAPTURE.with_borrow(|capture| capture.as_ref().map_or(0, |capture| capture.number));
        let kept = Kept { metadata: attributes.metadata(), parent, fields: fields.0, handles: 1, capture };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        spans().insert(id, kept);
        span::Id::from_u64(id)
    }

    fn record(&self, id: &span::Id, values: &span::Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(span) = spans().get_mut(&id.into_u64()) {
            span.fields.extend(fields.0);
        }
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, id: &span::Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(id.into_u64()));
    }

    fn exit(&self, id: &span::Id) {
        ENTERED.with_borrow_mut(|entered| {
            let at = entered.iter().rposition(|entered| *entered == id.into_u64());
            entered.remove(at.expect("it was entered"));
        });
    }

    fn clone_span(&self, id: &span::Id) -> span::Id {
        if let Some(span) = spans().get_mut(&id.into_u64()) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: span::Id) -> bool {
        let (mut spans, id) = (spans(), id.into_u64());
        let Some(span) = spans.get_mut(&id) else { return false };
        span.handles -= 1;
        let is_last = span.handles == 0;
        if is_last {
            spans.remove(&id);
            drop(spans);
            CHANGED.notify_waiters();
        }
        is_last
    }

    fn current_span(&self) -> Current {
        let Some(id) = ENTERED.with_borrow(|entered| entered.last().copied()) else { return Current::none() };
        let metadata = spans().get(&id).map(|span| span.metadata);
        metadata.map_or_else(Current::none, |metadata| Current::new(span::Id::from_u64(id), metadata))
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>, BTreeSet<&'static str>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
        self.1.insert(field.name());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
