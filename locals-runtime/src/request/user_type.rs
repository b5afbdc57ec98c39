//! The type of an app's users, for code that does not know it at compile time.

use std::{
    any::{Any, TypeId, type_name},
    sync::Arc,
};

use crate::model::user::AuthUser;

/// A user whose type is known to the handler and the `Auth`, but not to the code between them.
pub(crate) type AnyUser = Arc<dyn Any + Send + Sync>;

/// A user type, to compare and to name in errors.
#[derive(Debug, Clone, Copy)]
pub struct UserType {
    pub(super) id: TypeId,
    pub(super) name: &'static str,
}

impl UserType {
    pub(crate) fn of<T: AuthUser>() -> Self {
        Self { id: TypeId::of::<T>(), name: type_name::<T>() }
    }
}
