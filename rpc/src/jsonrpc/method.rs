//! Descriptions of methods and their parameters: the rows of the table that the macro generates.

use std::time::Duration;

use super::{EmptyParams, SubscriptionInfo};

/// Describes one method of a service, for routing, duplicate checks, logs and clients.
///
/// `#[rpc_service]` generates a table of these (`CalcServer::<S>::METHODS`);
/// [`Router`](crate::Router) makes them for untyped handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodInfo {
    name: &'static str,
    aliases: &'static [&'static str],
    kind: MethodKind,
    params: &'static [ParamInfo],
    by_name: bool,
    empty_params: Option<EmptyParams>,
    unknown_params: UnknownParams,
    order: Order,
    timeout: Option<Duration>,
    idempotent: bool,
    subscription: Option<SubscriptionInfo>,
    docs: &'static str,
}

/// Which requests of a session may run at the same time as a request of this method. Requests
/// always start in the order in which they came.
///
/// Requests that wait for others count toward
/// [`Limits::requests_in_flight`](crate::Limits::requests_in_flight). There is no order between
/// sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Order {
    /// Concurrent with all other requests, except exclusive ones.
    #[default]
    Concurrent,
    /// One ordered request after another: the next starts when the previous one has ended.
    /// Concurrent requests run meanwhile.
    Ordered,
    /// Alone: it starts when all earlier requests have ended, and no request starts before it has
    /// ended.
    Exclusive,
}

/// Whether a method has replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MethodKind {
    /// Each call gets a reply.
    Request,
    /// Calls get no reply.
    Notification,
}

impl MethodInfo {
    /// A method with replies, under its name on the wire.
    pub const fn request(name: &'static str) -> Self {
        Self {
            name,
            aliases: &[],
            kind: MethodKind::Request,
            params: &[],
            by_name: false,
            empty_params: None,
            unknown_params: UnknownParams::Refuse,
            timeout: None,
            idempotent: false,
            order: Order::Concurrent,
            subscription: None,
            docs: "",
        }
    }

    /// A method without replies, under its name on the wire.
    pub const fn notification(name: &'static str) -> Self {
        Self { kind: MethodKind::Notification, ..Self::request(name) }
    }

    /// The same method, which a server also finds under these names: full names, namespaces
    /// included.
    pub const fn with_aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// The same method with these parameters, in order.
    pub const fn with_params(self, params: &'static [ParamInfo]) -> Self {
        Self { params, ..self }
    }

    /// The same method with documentation.
    pub const fn with_docs(self, docs: &'static str) -> Self {
        Self { docs, ..self }
    }

    /// The same method, whose client sends the parameters by name. A server always accepts both
    /// ways.
    pub const fn by_name(self) -> Self {
        Self { by_name: true, ..self }
    }

    /// The same method, for which the client sends `empty` if a call has no parameters, whatever is
    /// set for the client and the connection.
    pub const fn with_empty_params(self, empty: EmptyParams) -> Self {
        Self { empty_params: Some(empty), ..self }
    }

    /// The same method, with this rule for members of the parameters that it does not name.
    pub const fn with_unknown_params(self, unknown: UnknownParams) -> Self {
        Self { unknown_params: unknown, ..self }
    }

    pub(crate) const fn of_kind(self, kind: MethodKind) -> Self {
        Self { kind, ..self }
    }

    /// The same method, which begins a subscription.
    pub const fn with_subscription(self, subscription: SubscriptionInfo) -> Self {
        Self { subscription: Some(subscription), ..self }
    }

    /// The description of the subscription that the method begins; `None` if it begins none.
    pub const fn subscription(&self) -> Option<SubscriptionInfo> {
        self.subscription
    }

    /// The same method with this order.
    pub const fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Which requests of a session may run at the same time as a request of this method.
    pub const fn order(&self) -> Order {
        self.order
    }

    /// The same method, for whose reply the client waits this long, unless the call sets its own
    /// timeout.
    pub const fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same method, marked as idempotent: calling it twice has the effect of calling it once,
    /// so a failed call may be retried.
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// The name on the wire, namespace included.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The other names under which a server finds the method.
    pub const fn aliases(&self) -> &'static [&'static str] {
        self.aliases
    }

    /// Whether the method has replies.
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

    /// The `params` that the client sends for a call without parameters; `None` if the method does
    /// not set it.
    pub const fn empty_params(&self) -> Option<EmptyParams> {
        self.empty_params
    }

    /// The server's rule for members of the parameters that the method does not name.
    pub const fn unknown_params(&self) -> UnknownParams {
        self.unknown_params
    }

    /// How long the client waits for the reply, unless the call sets its own timeout; `None` if the
    /// method does not set it.
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether calling the method twice has the effect of calling it once.
    /// [`Outgoing::is_idempotent`](crate::Outgoing::is_idempotent) tells middleware that retries.
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// The names of the parameters, if the client sends them by name.
    pub(crate) const fn names(&self) -> Option<&'static [ParamInfo]> {
        if self.by_name { Some(self.params) } else { None }
    }

    /// The documentation of the trait's method, as written.
    pub const fn docs(&self) -> &'static str {
        self.docs
    }
}

/// A method with replies, under its name on the wire.
impl From<&'static str> for MethodInfo {
    fn from(name: &'static str) -> Self {
        Self::request(name)
    }
}

/// Describes one parameter of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamInfo {
    name: &'static str,
    extent: Extent,
    default: bool,
    optional: bool,
    secret: bool,
    docs: &'static str,
}

/// The values on the wire that belong to a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Single,
    Rest,
    Whole,
}

impl ParamInfo {
    /// A parameter under its name on the wire: one value.
    pub const fn new(name: &'static str) -> Self {
        Self { name, extent: Extent::Single, default: false, optional: false, secret: false, docs: "" }
    }

    /// The same parameter, which takes all remaining values as a list: `sum(1, 2, 3)`. By name it
    /// is sent as a list. It has to be the last parameter of its method.
    pub const fn rest(self) -> Self {
        Self { extent: Extent::Rest, ..self }
    }

    /// The same parameter, which is the whole array or object of parameters. It has to be the only
    /// one of its method, and its name is not sent.
    pub const fn whole(self) -> Self {
        Self { extent: Extent::Whole, ..self }
    }

    /// The same parameter, which may be missing: its type has a default.
    pub const fn with_default(self) -> Self {
        Self { default: true, ..self }
    }

    /// The same parameter, whose type is an `Option`: sent by name, it is left out if it is `None`.
    pub const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same parameter, which is kept out of the log: see
    /// [`guide::service`](crate::guide::service#secret).
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The same parameter with documentation.
    pub const fn with_docs(self, docs: &'static str) -> Self {
        Self { docs, ..self }
    }

    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it takes all remaining values.
    pub const fn is_rest(&self) -> bool {
        matches!(self.extent, Extent::Rest)
    }

    /// Whether it is the whole array or object.
    pub const fn is_whole(&self) -> bool {
        matches!(self.extent, Extent::Whole)
    }

    /// Whether a default replaces it if it is missing. (An `Option` may be missing too.)
    pub const fn has_default(&self) -> bool {
        self.default
    }

    /// Whether its type is known to be an `Option`, so that it is left out if it is `None` and sent
    /// by name.
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether it is kept out of the log.
    pub const fn is_secret(&self) -> bool {
        self.secret
    }

    /// The documentation of the trait's parameter, as written.
    pub const fn docs(&self) -> &'static str {
        self.docs
    }

    /// Whether it is exactly one value, as most parameters are.
    pub(crate) const fn is_single(&self) -> bool {
        matches!(self.extent, Extent::Single)
    }
}

/// A server's rule for members of the parameters that a method does not name, such as the `_meta`
/// of the Model Context Protocol and the `workDoneToken` of language servers.
///
/// The rule applies to parameters by name: by position, elements after the last parameter are
/// always refused. Parameters that the method takes as a whole (`#[rpc(whole)]`) are judged by
/// their type alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnknownParams {
    /// The request is answered with -32602, which names the member.
    #[default]
    Refuse,
    /// All members are allowed.
    Allow,
    /// Members with these names are allowed, all others refused.
    AllowNamed(&'static [&'static str]),
}

impl UnknownParams {
    /// Whether a member of this name is allowed.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Refuse => false,
            Self::Allow => true,
            Self::AllowNamed(names) => names.contains(&name),
        }
    }
}
