//! What a method looks like from outside: the rows of the table that the macro generates.

/// Describes one method of a service: what routing, duplicate checks, logs and clients need to know.
///
/// `#[rpc_service]` generates a table of these (`CalcServer::<S>::METHODS`); [`Router`](crate::Router) makes them for untyped
/// handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodInfo {
    name: &'static str,
    kind: MethodKind,
    params: &'static [ParamInfo],
    by_name: bool,
    order: Order,
    docs: &'static str,
}

/// Which requests of one session a method is worked on beside. Whatever it is, requests start in the order in which they came.
///
/// Requests that wait for others count toward [`Limits::requests_in_flight`](crate::Limits::requests_in_flight). Between sessions there is
/// no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Order {
    /// Beside all others, except exclusive ones.
    #[default]
    Concurrent,
    /// One ordered request after another: the next begins when the one before has ended. Concurrent ones go on meanwhile.
    Ordered,
    /// Alone: it begins when all that came before have ended, and nothing begins before it has ended.
    Exclusive,
}

/// Whether a method answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodKind {
    /// It answers each call.
    Request,
    /// Its caller expects no answer.
    Notification,
}

impl MethodInfo {
    /// A method that answers, under its name on the wire.
    pub const fn request(name: &'static str) -> Self {
        Self {
            name,
            kind: MethodKind::Request,
            params: &[],
            by_name: false,
            order: Order::Concurrent,
            docs: "",
        }
    }

    /// A method that does not answer, under its name on the wire.
    pub const fn notification(name: &'static str) -> Self {
        Self { kind: MethodKind::Notification, ..Self::request(name) }
    }

    /// The same method with these parameters, in order.
    pub const fn with_params(self, params: &'static [ParamInfo]) -> Self {
        Self { params, ..self }
    }

    /// The same method with documentation.
    pub const fn with_docs(self, docs: &'static str) -> Self {
        Self { docs, ..self }
    }

    /// The same method, whose client sends the parameters by name. A server accepts both ways, always.
    pub const fn by_name(self) -> Self {
        Self { by_name: true, ..self }
    }

    pub(crate) const fn of_kind(self, kind: MethodKind) -> Self {
        Self { kind, ..self }
    }

    /// The same method, worked on in this order.
    pub const fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Beside which other requests of a session it is worked on.
    pub const fn order(&self) -> Order {
        self.order
    }

    /// The name on the wire, namespace included.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it answers.
    pub const fn kind(&self) -> MethodKind {
        self.kind
    }

    /// The parameters on the wire, in order.
    pub const fn params(&self) -> &'static [ParamInfo] {
        self.params
    }

    /// Whether the client sends the parameters by name.
    pub const fn sends_by_name(&self) -> bool {
        self.by_name
    }

    /// The names to send the parameters under, where the client sends them by name.
    pub(crate) const fn names(&self) -> Option<&'static [ParamInfo]> {
        if self.by_name { Some(self.params) } else { None }
    }

    /// The documentation of the trait's method, as written.
    pub const fn docs(&self) -> &'static str {
        self.docs
    }
}

/// A method that answers, under its name on the wire.
impl From<&'static str> for MethodInfo {
    fn from(name: &'static str) -> Self {
        Self::request(name)
    }
}

/// Describes one parameter of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamInfo {
    name: &'static str,
}

impl ParamInfo {
    /// A parameter under its name on the wire.
    pub const fn new(name: &'static str) -> Self {
        Self { name }
    }

    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}
