"""Requests to addresses that others name: reference images, webhook endpoints, backends' media.

addresses    which IP addresses may be reached at all
policy       what the operator opens beyond that, by host, host and port, or network
urls         strict reading of a URL: one spelling for one host, HTTPS on 443 unless the policy opens more
resolver     one look-up a connection; one denied address in the answer refuses it whole
client       requests to checked addresses only, with caps on bytes, time and redirects
backend_api  requests to a backend's API: who gets the key, and whether an order without an answer went out
loose_json   parts of an answer whose shape nobody promises
inline_media base64 in an answer's JSON, written to disk as it comes
multipart    forms as common clients write them
absences     how often in a row a backend did not know a job
"""
