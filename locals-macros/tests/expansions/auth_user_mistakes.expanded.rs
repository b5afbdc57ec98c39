::core::compile_error! {
    "unknown setting `tabel`: did you mean `table`?"
}
::core::compile_error! {
    "users and sessions need two tables, but both are named `users`: choose another name with `sessions = \"..\"`"
}
::core::compile_error! {
    "unknown setting `credentials`: did you mean `credential`?"
}
::core::compile_error! {
    "no field is named `id`: mark the one that holds the id with `#[auth_user(id)]`"
}
#[automatically_derived]
impl ::locals::AuthUser for Account {
    type Id = i64;
    const TABLE: &'static str = "users";
    const ID_COLUMN: &'static str = "id";
    const SESSIONS: &'static str = "users";
    const COLUMNS: ::core::option::Option<&'static [::locals::UserColumn]> = ::core::option::Option::Some(
        &[
            ::locals::UserColumn::required("number"),
            ::locals::UserColumn::required("password_hash"),
        ],
    );
    fn id(&self) -> &Self::Id {
        ::core::unreachable!()
    }
    fn row_reader(
        database: ::core::any::TypeId,
    ) -> ::core::option::Option<::std::boxed::Box<dyn ::core::any::Any>> {
        ::locals::__private::read_row!(Self, database)
    }
}
