//! Routing: the services that were added ([`Services`]), the table of their methods
//! ([`RouteTable`]), and for one session both together ([`Routes`]), which run a request.

use std::{any::type_name, collections::hash_map::Entry, fmt, sync::Arc};

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::{
    inline_policy::{InlinePolicy, RunMode},
    peer::RequestPeerRef,
    reply::Replies,
    request::{Request, Service, ServiceOutcome},
    subscribe::unsubscribe,
};
use crate::{
    jsonrpc::{
        Cancellation, ErrorObject, Id, MethodInfo, Order, SubscriptionStyle, UncheckedParams,
        UncheckedRequest, secret, subscription::Token,
    },
    session::{Session, Trace},
};

/// The methods of all services, by name. Shared by all sessions with the same services.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteTable {
    /// The names are the server's own: a peer cannot choose them to collide, so a fast hash without
    /// protection will do.
    routes: FxHashMap<&'static str, Route>,
    services: usize,
    /// True if any method asks for an order.
    has_order: bool,
    /// The cancel messages that the styles of the subscriptions use.
    cancellations: Vec<Cancellation>,
}

#[derive(Debug, Clone)]
struct Route {
    service: usize,
    method: usize,
    info: MethodInfo,
    /// True for the method that ends the subscriptions of `method`.
    unsubscribes: bool,
    owner: &'static str,
    inline_policy: InlinePolicy,
}

/// Two services claim one method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the method `{method}` is served twice: by {first} and by {second}")]
#[non_exhaustive]
pub struct DuplicateMethod {
    /// Its name on the wire.
    pub method: &'static str,
    /// The type of the service that was added first.
    pub first: &'static str,
    /// The type of the service that was added second.
    pub second: &'static str,
}

impl RouteTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Adds the methods of one more service, whose type is called `owner`.
    pub(crate) fn add(&mut self, methods: &[MethodInfo], owner: &'static str) -> Result<(), DuplicateMethod> {
        let service = self.services;
        self.services += 1;
        secret::keep(methods);
        for (method, info) in methods.iter().enumerate() {
            self.has_order |= info.order() != Order::Concurrent;
            if let Some(cancellation) = info.subscription().and_then(|of| of.style().cancellation())
                && !self.cancellations.contains(&cancellation)
            {
                self.cancellations.push(cancellation);
            }
            let route = |unsubscribes| Route {
                service,
                method,
                info: *info,
                unsubscribes,
                owner,
                inline_policy: InlinePolicy::new(),
            };
            for &name in [info.name()].iter().chain(info.aliases()) {
                self.insert(name, route(false))?;
            }
            if let Some(name) = info.subscription().and_then(|subscription| subscription.unsubscribe()) {
                self.insert(name, route(true))?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, name: &'static str, route: Route) -> Result<(), DuplicateMethod> {
        match self.routes.entry(name) {
            Entry::Vacant(free) => {
                free.insert(route);
                Ok(())
            }
            // Subscriptions with ids may share the method that ends them: `eth_unsubscribe` ends
            // them all.
            Entry::Occupied(taken) if taken.get().ends_by_id() && route.ends_by_id() => Ok(()),
            Entry::Occupied(taken) => {
                let first = taken.get().owner;
                Err(DuplicateMethod { method: name, first, second: route.owner })
            }
        }
    }
}

impl Route {
    fn ends_by_id(&self) -> bool {
        let style = self.info.subscription().map(|subscription| subscription.style());
        self.unsubscribes && style == Some(SubscriptionStyle::PubSub)
    }
}

/// The services of one session.
#[derive(Clone)]
pub(crate) struct Routes {
    table: Arc<RouteTable>,
    services: Arc<[Arc<dyn Service>]>,
}

impl Routes {
    /// `services` are those that were added to the table, in the same order.
    pub(crate) fn new(table: Arc<RouteTable>, services: Arc<[Arc<dyn Service>]>) -> Self {
        debug_assert_eq!(table.services, services.len(), "a table and its services differ");
        Self { table, services }
    }

    /// True if one of the services has the method.
    pub(crate) fn have(&self, method: &str) -> bool {
        self.table.routes.contains_key(method)
    }

    /// Runs the handler of a request, as far as it goes without waiting. The trace is ended, and
    /// taken, unless the request is in flight or refused.
    pub(crate) fn serve(
        &self,
        request: &UncheckedRequest<'_>,
        peer: RequestPeerRef<'_>,
        replies: Replies<'_>,
        trace: &mut Trace,
    ) -> ServiceOutcome {
        if trace.is_some() {
            return self.serve_traced(request, peer, replies, trace);
        }
        self.run(request, peer, replies, false)
    }

    #[cold]
    fn serve_traced(
        &self,
        request: &UncheckedRequest<'_>,
        peer: RequestPeerRef<'_>,
        replies: Replies<'_>,
        trace: &mut Trace,
    ) -> ServiceOutcome {
        trace.in_scope(|| self.run(request, peer, replies, true)).traced(trace)
    }

    #[inline]
    fn run(
        &self,
        request: &UncheckedRequest<'_>,
        peer: RequestPeerRef<'_>,
        replies: Replies<'_>,
        traced: bool,
    ) -> ServiceOutcome {
        let UncheckedRequest { id, method, params } = request;
        let Some(route) = self.table.routes.get(&**method) else {
            return ServiceOutcome::Refused(ErrorObject::method_not_found(method));
        };
        if route.unsubscribes {
            return unsubscribe(&route.info, request, peer, replies);
        }
        // Nearly no method takes a token: those that do not are spared the work for one.
        let token_path = route.info.subscription().and_then(|of| of.token());
        let Some(path) = token_path else {
            return self.call(route, (*id, *params, None), peer, replies, traced);
        };
        match Token::take_from(*params, path, &route.info) {
            Ok(None) => self.call(route, (*id, *params, None), peer, replies, traced),
            Ok(Some((token, rest))) => {
                let params = UncheckedParams::from_text(&rest);
                self.call(route, (*id, params, token), peer, replies, traced)
            }
            Err(error) => ServiceOutcome::Refused(error),
        }
    }

    #[inline]
    fn call<'r>(
        &'r self,
        route: &'r Route,
        (id, params, progress_token): (Option<Id<'r>>, UncheckedParams<'r>, Option<Token>),
        peer: RequestPeerRef<'r>,
        replies: Replies<'r>,
        traced: bool,
    ) -> ServiceOutcome {
        let mode = route.inline_policy.next_mode();
        let timed = (mode == RunMode::Timed).then(Instant::now);
        let request = Request {
            method: &route.info,
            id,
            params,
            peer,
            replies,
            deferred: mode == RunMode::Deferred,
            progress_token,
            traced,
        };
        let handled = self.services[route.service].call(route.method, request);
        if let Some(started) = timed {
            route.inline_policy.record(started.elapsed());
        }
        handled.outcome()
    }

    /// The cancel messages that the peer may send, from the styles of the methods.
    pub(crate) fn cancellations(&self) -> Vec<Cancellation> {
        self.table.cancellations.clone()
    }

    /// The order that a method asks for; `None` where no method asks for any.
    pub(crate) fn order(&self, method: &str) -> Option<Order> {
        if !self.table.has_order {
            return None;
        }
        Some(self.table.routes.get(method).map(|route| route.info.order()).unwrap_or_default())
    }

    /// True if the method takes notifications. A method that begins a subscription does not,
    /// because it needs a reply: a notification under its name is an item, from a peer that serves
    /// the same method.
    pub(crate) fn takes_notifications(&self, method: &str) -> bool {
        let begins = |route: &Route| route.info.subscription().is_some() && !route.unsubscribes;
        self.table.routes.get(method).is_some_and(|route| !begins(route))
    }

    /// Times the next calls of every method: a read took long, and any of them may be the cause.
    #[cold]
    pub(crate) fn suspect(&self) {
        self.table.routes.values().for_each(|route| route.inline_policy.suspect());
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").field("table", &self.table).finish_non_exhaustive()
    }
}

type ServiceFactory = Arc<dyn Fn(&Session) -> Arc<dyn Service> + Send + Sync>;

/// The services of a server or a connector, while it is built. Clones serve the same values.
#[derive(Clone, Default)]
pub(crate) struct Services {
    shared: Vec<NamedService<Arc<dyn Service>>>,
    factories: Vec<NamedService<ServiceFactory>>,
    /// The methods that are known without a session.
    table: RouteTable,
    duplicate: Option<DuplicateMethod>,
}

#[derive(Clone)]
struct NamedService<T> {
    name: &'static str,
    value: T,
}

impl Services {
    pub(crate) fn add_shared<S: Service>(&mut self, service: S) {
        let name = type_name::<S>();
        self.check(|table| table.add(service.methods(), name));
        self.shared.push(NamedService { name, value: Arc::new(service) });
    }

    pub(crate) fn add_factory<S: Service>(&mut self, make: impl Fn(&Session) -> S + Send + Sync + 'static) {
        let name = type_name::<S>();
        self.check(|table| table.add(S::declared(), name));
        let value: ServiceFactory = Arc::new(move |session| Arc::new(make(session)));
        self.factories.push(NamedService { name, value });
    }

    fn check(&mut self, add: impl FnOnce(&mut RouteTable) -> Result<(), DuplicateMethod>) {
        if let (None, Err(duplicate)) = (&self.duplicate, add(&mut self.table)) {
            self.duplicate = Some(duplicate);
        }
    }

    /// Refuses methods that are served twice.
    pub(crate) fn build(self) -> Result<BuiltServices, DuplicateMethod> {
        match self.duplicate {
            Some(duplicate) => Err(duplicate),
            None => Ok(BuiltServices {
                table: Arc::new(self.table),
                names: self.shared.iter().map(|shared| shared.name).collect(),
                shared: self.shared.into_iter().map(|shared| shared.value).collect(),
                factories: self.factories,
            }),
        }
    }
}

/// Services without duplicate methods: shared ones, and factories that make one for each session.
pub(crate) struct BuiltServices {
    /// The methods of the shared services; used where there are no factories.
    table: Arc<RouteTable>,
    names: Vec<&'static str>,
    shared: Arc<[Arc<dyn Service>]>,
    factories: Vec<NamedService<ServiceFactory>>,
}

impl BuiltServices {
    /// True if there is anything that a peer could call.
    pub(crate) fn serve(&self) -> bool {
        !self.table.is_empty() || !self.factories.is_empty()
    }

    /// True if some of the services are made for each session.
    pub(crate) const fn need_session(&self) -> bool {
        !self.factories.is_empty()
    }

    /// The services that need no session.
    pub(crate) fn shared(&self) -> Routes {
        Routes::new(Arc::clone(&self.table), Arc::clone(&self.shared))
    }

    /// The services for one session.
    pub(crate) fn for_session(&self, session: &Session) -> Routes {
        if !self.need_session() {
            return self.shared();
        }
        let mut table = RouteTable::default();
        let mut services: Vec<_> = self.shared.to_vec();
        services.extend(self.factories.iter().map(|factory| (factory.value)(session)));
        let names = self.names.iter().copied().chain(self.factories.iter().map(|factory| factory.name));
        for (service, name) in services.iter().zip(names) {
            // Only a service whose methods are known at run time alone can still have a duplicate.
            if let Err(duplicate) = table.add(service.methods(), name) {
                tracing::error!(
                    method = duplicate.method,
                    first = duplicate.first,
                    second = duplicate.second,
                    "a method is served twice: the first one is used"
                );
            }
        }
        Routes::new(Arc::new(table), services.into())
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("table", &self.table).finish_non_exhaustive()
    }
}

impl fmt::Debug for BuiltServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("table", &self.table).finish_non_exhaustive()
    }
}
