// The traits that an account gets from a provider. An address that the provider did not verify is ignored, so the user
// must enter one.
local claims = std.extVar('claims');
local vouched = std.objectHas(claims, 'email') && std.objectHas(claims, 'email_verified') && claims.email_verified;
local name = {
  [if std.objectHas(claims, 'given_name') then 'first']: claims.given_name,
  [if std.objectHas(claims, 'family_name') then 'last']: claims.family_name,
};
{
  identity: {
    traits: {
      [if vouched then 'email']: claims.email,
      [if std.length(name) > 0 then 'name']: name,
    },
    verified_addresses: if vouched then [{ via: 'email', value: claims.email }] else [],
  },
}
