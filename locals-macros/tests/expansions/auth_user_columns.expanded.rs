#[automatically_derived]
impl ::locals::AuthUser for Account {
    type Id = uuid::Uuid;
    const TABLE: &'static str = "users";
    const ID_COLUMN: &'static str = "id";
    const COLUMNS: ::core::option::Option<&'static [::locals::UserColumn]> = ::core::option::Option::Some(
        &[
            ::locals::UserColumn::required("id"),
            ::locals::UserColumn::required("first_name"),
            ::locals::UserColumn::required("last_name"),
        ],
    );
    fn id(&self) -> &Self::Id {
        &self.id
    }
    fn row_reader(
        database: ::core::any::TypeId,
    ) -> ::core::option::Option<::std::boxed::Box<dyn ::core::any::Any>> {
        ::locals::__private::read_row!(Self, database)
    }
}
