#[automatically_derived]
impl ::locals::UserKey for AccountId {
    const KIND: ::locals::UserIdKind = <i64 as ::locals::UserKey>::KIND;
    fn to_user_id(&self) -> ::locals::UserId {
        <i64 as ::locals::UserKey>::to_user_id(&self.0)
    }
    fn from_user_id(
        id: ::locals::UserId,
    ) -> ::core::result::Result<Self, ::locals::WrongIdKind> {
        <i64 as ::locals::UserKey>::from_user_id(id).map(|id| Self { 0: id })
    }
}
#[automatically_derived]
impl ::core::convert::From<AccountId> for ::locals::UserId {
    fn from(id: AccountId) -> Self {
        <i64 as ::locals::UserKey>::to_user_id(&id.0)
    }
}
#[automatically_derived]
impl ::core::convert::TryFrom<::locals::UserId> for AccountId {
    type Error = ::locals::WrongIdKind;
    fn try_from(
        id: ::locals::UserId,
    ) -> ::core::result::Result<Self, ::locals::WrongIdKind> {
        <i64 as ::locals::UserKey>::from_user_id(id).map(|id| Self { 0: id })
    }
}
