// An application whose access token has ended: the SDK renews it by itself.
import { B24OAuth } from '@bitrix24/b24jssdk'
import { report, attempt } from './common.mjs'

const app = JSON.parse(process.env.B24_APPLICATION)

/** connectApp makes a client of the application that takes its token for one
 * that lives for a while. */
function connectApp(refreshToken, clientSecret = app.client_secret, seconds = 3600) {
  return new B24OAuth({
    applicationToken: app.application_token,
    userId: 1,
    memberId: app.member_id,
    accessToken: app.access_token,
    refreshToken,
    expires: Math.floor(Date.now() / 1000) + seconds,
    expiresIn: 3600,
    scope: app.scope,
    domain: new URL(app.client_endpoint).host,
    clientEndpoint: app.client_endpoint,
    serverEndpoint: app.server_endpoint,
    status: 'L'
  }, { clientId: app.client_id, clientSecret })
}

const seen = {}
const b24 = connectApp(app.refresh_token)
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
const late = connectApp(renewed[0].refreshToken, undefined, -1)
seen.late = (await attempt(late.actions.v2.call.make({ method: 'profile' }))).result?.ID
// A refresh token is good for once.
const used = connectApp(app.refresh_token, undefined, -1)
seen.used = await attempt(used.actions.v2.call.make({ method: 'profile' }))
const stranger = connectApp(app.refresh_token, 'guess', -1)
seen.wrongSecret = await attempt(stranger.actions.v2.call.make({ method: 'profile' }))

report(seen)
