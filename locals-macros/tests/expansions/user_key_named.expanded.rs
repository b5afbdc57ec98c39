#[automatically_derived]
impl ::locals::UserKey for AccountId {
    const KIND: ::locals::UserIdKind = <Uuid as ::locals::UserKey>::KIND;
    fn to_user_id(&self) -> ::locals::UserId {
        <Uuid as ::locals::UserKey>::to_user_id(&self.r#type)
    }
    fn from_user_id(
        id: ::locals::UserId,
    ) -> ::core::result::Result<Self, ::locals::WrongIdKind> {
        <Uuid as ::locals::UserKey>::from_user_id(id).map(|id| Self { r#type: id })
    }
}
#[automatically_derived]
impl ::core::convert::From<AccountId> for ::locals::UserId {
    fn from(id: AccountId) -> Self {
        <Uuid as ::locals::UserKey>::to_user_id(&id.r#type)
    }
}
#[automatically_derived]
impl ::core::convert::TryFrom<::locals::UserId> for AccountId {
    type Error = ::locals::WrongIdKind;
    fn try_from(
        id: ::locals::UserId,
    ) -> ::core::result::Result<Self, ::locals::WrongIdKind> {
        <Uuid as ::locals::UserKey>::from_user_id(id).map(|id| Self { r#type: id })
    }
}
