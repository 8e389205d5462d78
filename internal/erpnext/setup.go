package erpnext

// keyLabel is the label of the key field, which ERPNext repeats in messages.
const keyLabel = "Ledgerhook Key"
