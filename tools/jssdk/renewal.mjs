// An application whose access token has ended: the SDK renews it by itself.
import { app, connectApp, report, attempt } from './common.mjs'

const seen = {}
const b24 = connectApp()
const renewed = []
b24.setCallbackRefreshAuth(async ({ b24OAuthParams }) => { renewed.push(b24OAuthParams) })
// The portal refuses the token, and the SDK renews it and calls again.
seen.answer = (await attempt(b24.actions.v2.call.make({ method: 'profile' }))).result?.ID
const answers = await Promise.all([1, 2, 3].map(() => attempt(b24.actions.v2.call.make({ method: 'profile' }))))
seen.answers = answers.map((answer) => answer.result?.ID)
seen.renewed = renewed.map((params) => ({
  another: params.accessToken !== app.access_token && params.refreshToken !== app.refresh_token,
  status: params.status,
  scope: params.scope,
  expires: Math.abs(params.expires - Date.now() / 1000 - 3600) < 60
}))
// What the SDK takes for ended is renewed before the call.
const late = connectApp({ refreshToken: renewed[0].refreshToken, seconds: -1 })
seen.late = (await attempt(late.actions.v2.call.make({ method: 'profile' }))).result?.ID
// A refresh token is good for once.
const used = connectApp({ seconds: -1 })
seen.used = await attempt(used.actions.v2.call.make({ method: 'profile' }))
const stranger = connectApp({ clientSecret: 'guess', seconds: -1 })
seen.wrongSecret = await attempt(stranger.actions.v2.call.make({ method: 'profile' }))

report(seen)
