"""One model, two notations: JSON and DataContract XML, read leniently and written exactly.

Read: member names in any case; a member given twice in different case with different values is refused; enumerations
by number or name, booleans strictly, both quoted or not; unknown members ignored and told in a `Warning` header;
an absent, empty, null or {} body means all defaults. Written: PascalCase, numbers for enumerations in JSON and names
in XML, times in UTC with three decimals.
"""
