"""`/v1/chat/completions`: any model behind it, with memory added to what it reads.

`talk` reads a request without rewriting it; `whose` says whose memory; `recalled` and `remembered`
go to the store, within bounds of time; `reply` hears the answer pass by; `upstream` is the server
behind, `engine` the model in this process; `serving` goes from a request to its answer, `passing`
gives the bytes to the client; `refused` has errors in OpenAI's shape; `route` the routes.
"""
