"""GraphQL documents, as the library gqlparser reads and checks them."""
