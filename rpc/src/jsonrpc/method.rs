//! What a method and its parameters look like from outside: the rows of the table that the macro generates.

use std::time::Duration;

use super::{EmptyParams, SubscriptionInfo};

/// Describes one method of a service: what routing, duplicate checks, logs and clients need to know.
///
/// `#[rpc_service]` generates a table of these (`CalcServer::<S>::METHODS`); [`Router`](crate::Router) makes them for untyped
/// handlers.
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

    /// A method that does not answer, under its name on the wire.
    pub const fn notification(name: &'static str) -> Self {
        Self { kind: MethodKind::Notification, ..Self::request(name) }
    }

    /// The same method, which a server also finds under these names: whole ones, namespaces included.
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

    /// The same method, whose client sends the parameters by name. A server accepts both ways, always.
    pub const fn by_name(self) -> Self {
        Self { by_name: true, ..self }
    }

    /// The same method, whose client sends this where it has no parameters, whatever its client and its connection say.
    pub const fn with_empty_params(self, empty: EmptyParams) -> Self {
        Self { empty_params: Some(empty), ..self }
    }

    /// The same method, whose server does this with members of the parameters that are none of its own.
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

    /// What it says of the subscription that it begins, if it does.
    pub const fn subscription(&self) -> Option<SubscriptionInfo> {
        self.subscription
    }

    /// The same method, worked on in this order.
    pub const fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Beside which other requests of a session it is worked on.
    pub const fn order(&self) -> Order {
        self.order
    }

    /// The same method, for whose reply its client waits this long unless a call says otherwise.
    pub const fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same method, of which it is known that calling it twice does what calling it once does: it may be tried again.
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// The name on the wire, namespace included.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The other names that a server finds it under.
    pub const fn aliases(&self) -> &'static [&'static str] {
        self.aliases
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

    /// What the client sends where there are no parameters; `None` where the method does not say.
    pub const fn empty_params(&self) -> Option<EmptyParams> {
        self.empty_params
    }

    /// What the server does with members of the parameters that are none of the method's own.
    pub const fn unknown_params(&self) -> UnknownParams {
        self.unknown_params
    }

    /// How long its client waits for the reply unless a call says otherwise; `None` where the method does not say.
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether calling it twice does what calling it once does. [`Outgoing::is_idempotent`](crate::Outgoing::is_idempotent) tells
    /// those who try again.
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
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
    extent: Extent,
    default: bool,
    optional: bool,
    secret: bool,
    docs: &'static str,
}

/// How much of what is sent belongs to the parameter.
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

    /// The same parameter, which is a list of all values from here on: `sum(1, 2, 3)`. By name it is sent as a list. It is the last
    /// one of its method.
    pub const fn rest(self) -> Self {
        Self { extent: Extent::Rest, ..self }
    }

    /// The same parameter, which is the whole array or object of parameters. It is the only one of its method, and its name does not
    /// travel.
    pub const fn whole(self) -> Self {
        Self { extent: Extent::Whole, ..self }
    }

    /// The same parameter, which may be missing: its type has a default.
    pub const fn with_default(self) -> Self {
        Self { default: true, ..self }
    }

    /// The same parameter, whose type is an `Option`: sent by name, it is left out where it is `None`.
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

    /// Whether it takes all values from here on.
    pub const fn is_rest(&self) -> bool {
        matches!(self.extent, Extent::Rest)
    }

    /// Whether it is the whole array or object.
    pub const fn is_whole(&self) -> bool {
        matches!(self.extent, Extent::Whole)
    }

    /// Whether a default stands in where it is missing. (What is an `Option` may be missing too.)
    pub const fn has_default(&self) -> bool {
        self.default
    }

    /// Whether it is seen to be an `Option`, and left out where it is `None` and sent by name.
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

    /// Whether it is one value like most.
    pub(crate) const fn is_single(&self) -> bool {
        matches!(self.extent, Extent::Single)
    }
}

/// What a server does with members of the parameters that a method does not name, as the Model Context Protocol's `_meta` and
/// `workDoneToken` of language servers.
///
/// It is about parameters by name: by position, elements beyond the last parameter are always refused. Parameters that one of
/// the method's own takes whole (`#[rpc(whole)]`) are judged by its type alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum UnknownParams {
    /// The request is answered with -32602, which names the member.
    #[default]
    Refuse,
    /// All pass.
    Allow,
    /// Those of these names pass, and others are refused.
    AllowNamed(&'static [&'static str]),
}

impl UnknownParams {
    /// Whether a member of this name passes.
    pub fn allows(&self, name: &str) -> bool {
        match self {
            Self::Refuse => false,
            Self::Allow => true,
            Self::AllowNamed(names) => names.contains(&name),
        }
    }
}
