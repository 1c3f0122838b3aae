//! Values that the application keeps with a session, found by their type.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

type Values = HashMap<TypeId, Arc<dyn Any + Send + Sync>>;

/// One value of each type, shared by everything that knows the session.
///
/// ```
/// # let (session, _peer) = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async { rpc::testing::pair((), ()) });
/// #[derive(Debug)]
/// struct User(String);
///
/// session.extensions().insert(User("ann".into()));
/// assert_eq!(session.extensions().get::<User>().unwrap().0, "ann");
/// assert!(session.extensions().get::<u8>().is_none());
/// ```
#[derive(Default)]
pub struct Extensions {
    /// Most sessions keep nothing: an empty map allocates nothing.
    values: RwLock<Values>,
}

impl Extensions {
    /// Keeps `value`, in place of another of its type.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) {
        self.values
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// The value of type `T`, if there is one.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let values = self.values.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(values.get(&TypeId::of::<T>())?).downcast().ok()
    }

    /// Takes the value of type `T` out.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let mut values = self.values.write().unwrap_or_else(PoisonError::into_inner);
        values.remove(&TypeId::of::<T>())?.downcast().ok()
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").finish_non_exhaustive()
    }
}
